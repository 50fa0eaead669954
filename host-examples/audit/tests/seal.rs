//! `audit keygen` and `audit seal`, as whole processes.
#![cfg(unix)]

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use audit_evidence::publish::is_cosigned;
use audit_evidence::{Log, LogFolder};
use audit_log::cosignature::{Cosigner, CosignerKey, Time};
use audit_log::note::VerifierKey;
use audit_log::tree::Hash;
use audit_log::witness::{AddCheckpoint, Answer};
use audit_testbed::PATIENCE;
use common::{Workspace, line, lines, run, run_with_input, text};
use serde_json::Value;

const NAME: &str = "example.com/audit";

/// A record of some events with a key beside it.
struct Site {
    workspace: Workspace,
    public: VerifierKey,
}

impl Site {
    fn new() -> Self {
        let workspace = Workspace::new();
        let made = run(workspace.audit(["keygen", NAME]));
        assert_eq!(made.status.code(), Some(0), "{made:?}");
        let public = text(&made.stdout).trim().parse().unwrap();
        let site = Self { workspace, public };
        site.write(&lines(0..10));
        site
    }

    fn write(&self, lines: &str) {
        let written = run_with_input(self.workspace.audit(["write"]), lines);
        assert!(written.status.success(), "{written:?}");
    }

    fn command(&self, options: &[&str]) -> Command {
        let mut command = self.workspace.audit(["seal"]);
        command.args(options).env("AUDIT_SEAL_KEY_FILE", "audit-seal.key");
        command
    }

    fn seal(&self, options: &[&str]) -> Output {
        run(self.command(options))
    }

    /// What `audit seal --json` shows.
    fn report(&self, options: &[&str], code: i32) -> Value {
        let output = self.seal(&[&["--json"], options].concat());
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn log(&self) -> PathBuf {
        self.workspace.events_dir().join("log")
    }

    /// The size of the log, if its checkpoint has the signature of the key.
    fn size(&self) -> u64 {
        let signed = Log::new(LogFolder::new(self.log())).checkpoint().unwrap().unwrap();
        let head = signed.verify(&NAME.parse().unwrap(), std::slice::from_ref(&self.public)).unwrap();
        head.size()
    }
}

#[test]
fn a_seal_says_what_is_new_and_how_much_there_is() {
    let site = Site::new();
    let sealed = site.seal(&[]);
    assert_eq!((text(&sealed.stderr), sealed.status.code()), ("", Some(0)));
    let said = text(&sealed.stdout);
    assert!(
        said.starts_with("sealed 10 new events: 10 in all, root ") && said.lines().count() == 1,
        "{said}"
    );
    assert_eq!(site.size(), 10);
    let leaves: Vec<Hash> = site
        .workspace
        .events()
        .iter()
        .map(|event| Hash::from_hex(event["hash"].as_str().unwrap()).unwrap())
        .collect();
    let tile: Vec<u8> = leaves.iter().flat_map(|leaf| leaf.0).collect();
    assert_eq!(fs::read(site.log().join("tile/0/000.p/10")).unwrap(), tile);

    assert!(text(&site.seal(&[]).stdout).starts_with("nothing new: 10 in all, root "));
    site.write(&line(10, "t10"));
    append(&site, "no event\n");
    let said = site.seal(&[]);
    assert!(text(&said.stdout).starts_with("sealed 1 new event: 11 in all, root "), "{said:?}");
    assert!(text(&said.stdout).ends_with("; declared unreadable: 1 line\n"), "{said:?}");
    let report = site.report(&[], 0);
    let head = (report["origin"].as_str(), report["size"].as_u64(), report["new"].as_u64());
    assert_eq!(head, (Some(NAME), Some(11), Some(0)), "{report}");
    // The log is no part of the record.
    assert_eq!(site.workspace.events().len(), 11);
}

fn append(site: &Site, text: &str) {
    let mut file = fs::OpenOptions::new().append(true).open(site.workspace.daily_file()).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn a_record_that_was_changed_is_said_with_exit_status_1() {
    let site = Site::new();
    site.seal(&[]);
    fs::remove_file(site.workspace.daily_file()).unwrap();
    let output = site.seal(&[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(text(&output.stderr), "audit: tool_audit_2026-11-23.jsonl was sealed and is gone\n");
    let report = site.report(&[], 1);
    assert_eq!(report["problems"][0], "tool_audit_2026-11-23.jsonl was sealed and is gone", "{report}");
    assert_eq!(site.size(), 10);
}

#[test]
fn what_cannot_be_used_is_named_with_exit_status_2() {
    let site = Site::new();
    let path = site.workspace.path().join("audit-seal.key");
    let without = run(site.workspace.audit(["seal"]));
    assert!(text(&without.stderr).contains("audit keygen"), "{without:?}");
    let again = run(site.workspace.audit(["keygen", NAME]));
    assert!(text(&again.stderr).contains("never overwritten"), "{again:?}");
    let odd = run(site.workspace.audit(["keygen", "two words", "--out", "other.key"]));
    assert!(text(&odd.stderr).contains("without spaces"), "{odd:?}");
    assert!(!site.workspace.path().join("other.key").exists());
    let memory = run(site.workspace.audit(["--backend", "memory", "seal", "--key", "audit-seal.key"]));
    assert!(text(&memory.stderr).contains("accepted are jsonl, postgres and auto"), "{memory:?}");
    let nothing = site.seal(&["--dir", "nowhere"]);
    assert!(text(&nothing.stderr).contains("nowhere does not exist"), "{nothing:?}");
    let witness = site.seal(&["--witness", "http://127.0.0.1:1"]);
    assert!(text(&witness.stderr).contains("--witness-key"), "{witness:?}");
    let every = site.seal(&["--every", "0s"]);
    assert!(text(&every.stderr).contains("such as 60s"), "{every:?}");
    let private = fs::read_to_string(&path).unwrap();
    let mode = |mode| fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    mode(0o644);
    let open = site.seal(&[]);
    assert!(text(&open.stderr).contains("mode 0644"), "{open:?}");
    mode(0o600);
    for output in [&without, &again, &odd, &memory, &nothing, &witness, &every, &open] {
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(!format!("{output:?}").contains(private.trim()));
    }
    assert!(!site.log().exists() && !site.workspace.path().join("nowhere").exists());
}

#[test]
fn another_process_that_seals_the_log_is_named() {
    let site = Site::new();
    let held = LogFolder::for_sealing(site.log()).unwrap();
    let refused = site.seal(&[]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let process = format!("another process ({})", std::process::id());
    assert!(text(&refused.stderr).contains(&process), "{refused:?}");
    drop(held);
    assert_eq!(site.report(&[], 0)["new"], 10);
}

#[test]
fn many_sealers_at_once_seal_each_event_once() {
    let site = Site::new();
    let sealed: u64 = thread::scope(|scope| {
        let sealers = [(); 4].map(|()| scope.spawn(|| site.seal(&["--json"])));
        sealers
            .map(|sealer| sealer.join().unwrap())
            .iter()
            .filter(|output| output.status.success())
            .map(|output| serde_json::from_slice::<Value>(&output.stdout).unwrap()["new"].as_u64().unwrap())
            .sum()
    });
    assert_eq!((sealed, site.size()), (10, 10));
}

#[test]
fn a_copy_that_could_not_be_made_is_made_by_the_next_seal() {
    let site = Site::new();
    let copy = site.workspace.path().join("copies");
    let output = site.seal(&["--checkpoint-to", "copies"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        text(&output.stderr).contains("copies for copies of the checkpoint does not exist"),
        "{output:?}"
    );
    fs::create_dir(&copy).unwrap();
    assert_eq!(site.report(&["--checkpoint-to", "copies"], 0)["new"], 0);
    let kept = || fs::read(copy.join("checkpoint")).unwrap();
    assert_eq!(kept(), fs::read(site.log().join("checkpoint")).unwrap());
    // Someone makes the log anew, from a record without some events.
    let before = kept();
    fs::remove_dir_all(site.log()).unwrap();
    let text = fs::read_to_string(site.workspace.daily_file()).unwrap();
    fs::write(site.workspace.daily_file(), text.split_inclusive('\n').skip(1).collect::<String>()).unwrap();
    let report = site.report(&["--checkpoint-to", "copies"], 1);
    assert!(report["problems"][0].as_str().unwrap().contains("the log was set back"), "{report}");
    assert_eq!(kept(), before);
}

#[test]
fn a_service_seals_what_comes_and_ends_when_it_is_told_to() {
    let site = Site::new();
    let mut command = site.command(&["--every", "1s", "--checkpoint-to", "copies"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (send, said) = channel();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    thread::spawn(move || stdout.lines().map_while(Result::ok).all(|line| send.send(line).is_ok()));
    let next = || said.recv_timeout(PATIENCE).expect("it says what it seals");
    assert!(next().starts_with("sealed 10 new events: 10 in all"));
    site.write(&lines(10..12));
    assert!(next().starts_with("sealed 2 new events: 12 in all"));
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let ended = common::end_of(child);
    // It went on, and said once what was wrong all the time.
    let stderr = text(&ended.stderr);
    assert_eq!((stderr.matches("does not exist").count(), ended.status.code()), (1, Some(0)), "{stderr}");
    assert_eq!(site.size(), 12);
}

/// A witness on a port of its own.
struct Witness {
    url: String,
    key: CosignerKey,
    last: Arc<Mutex<Option<(u64, Hash)>>>,
}

impl Witness {
    /// A witness that knows the key of a log.
    fn of(log: VerifierKey) -> Self {
        let key = Cosigner::from_seed("example.org/witness".parse().unwrap(), &[9; 32]);
        let public = key.verifier();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let last = Arc::<Mutex<Option<(u64, Hash)>>>::default();
        let known = Arc::clone(&last);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let answer = |body: &str| answer(body, &log, &key, &mut known.lock().unwrap());
                serve(stream, answer);
            }
        });
        Self { url, key: public, last }
    }
}

fn answer(body: &str, log: &VerifierKey, key: &Cosigner, last: &mut Option<(u64, Hash)>) -> Answer {
    let Ok(request) = AddCheckpoint::parse(body.as_bytes()) else { return Answer::BadRequest };
    let known = std::slice::from_ref(log);
    let Ok(head) = request.checkpoint().verify(&NAME.parse().unwrap(), known) else {
        return Answer::Unsigned;
    };
    if let Err(refused) = request.check(*last) {
        return (&refused).into();
    }
    *last = Some((head.size(), head.root()));
    Answer::Cosigned(vec![key.cosign(Time::new(1_800_000_000).unwrap(), head)])
}

/// Answers one request of HTTP/1.1.
fn serve(mut stream: TcpStream, answer: impl FnOnce(&str) -> Answer) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut head, mut length) = (String::new(), 0);
    while reader.read_line(&mut head).unwrap() > 2 {
        let line = head.lines().last().unwrap().to_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    assert!(head.starts_with("POST /add-checkpoint HTTP/1.1\r\n"), "{head}");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let answer = answer(text(&body));
    let body = answer.to_string();
    let head =
        format!("HTTP/1.1 {} X\r\ncontent-length: {}\r\nconnection: close", answer.status(), body.len());
    stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
}

#[test]
fn a_witness_signs_and_refuses_a_log_that_was_made_anew() {
    let site = Site::new();
    let witness = Witness::of(site.public.clone());
    let key = witness.key.to_string();
    let options = ["--witness", &witness.url, "--witness-key", &key];
    let away = site.seal(&["--witness", "http://127.0.0.1:1", "--witness-key", &key]);
    assert_eq!(away.status.code(), Some(1), "{away:?}");
    assert!(text(&away.stderr).contains("the witness example.org/witness cannot be asked"), "{away:?}");
    assert_eq!(site.report(&options, 0)["new"], 0);
    let cosigned = || {
        let signed = Log::new(LogFolder::new(site.log())).checkpoint().unwrap().unwrap();
        is_cosigned(&signed, &witness.key).unwrap()
    };
    assert!(cosigned());
    site.write(&lines(10..300));
    assert_eq!(site.report(&options, 0)["new"], 290);
    assert!(cosigned());
    assert_eq!(witness.last.lock().unwrap().map(|last| last.0), Some(300));

    fs::remove_dir_all(site.log()).unwrap();
    let record = fs::read_to_string(site.workspace.daily_file()).unwrap();
    fs::write(site.workspace.daily_file(), record.replacen("\"t3\"", "\"x3\"", 1)).unwrap();
    let report = site.report(&options, 1);
    let said = report["problems"][0].as_str().unwrap();
    assert!(said.contains("the log contradicts what it has signed before (status 422)"), "{report}");
    assert!(!cosigned());
}
