//! Nothing of a cluster outlives the test process, however the process ends.
#![cfg(target_os = "linux")]

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use audit_testbed::postgres::{Client, NoTls};
use audit_testbed::{Cluster, Stop, wait_for};

/// The variable that says to [`child`], which is another process, what to do once its cluster runs.
const DEED: &str = "AUDIT_TESTBED_DEED";

const ANNOUNCEMENT: &str = "folder: ";

#[test]
#[ignore = "this is no test: the tests run it as a process of its own"]
fn child() {
    let Ok(deed) = env::var(DEED) else { return };
    let cluster = Cluster::shared();
    let mut client = Client::connect(&cluster.url("postgres"), NoTls).expect("the server runs");
    println!("\n{ANNOUNCEMENT}{}", cluster.folder().display());
    match deed.as_str() {
        "return" => return,
        "exit" => std::process::exit(0),
        "abort" => std::process::abort(),
        "panic" => panic!("this panic is what the test asked for"),
        "pause" => cluster.pause(),
        "crash" => cluster.stop(Stop::Kill),
        "query" => drop(client.simple_query("SELECT pg_sleep(600)")),
        _ => panic!("there is no deed {deed:?}"),
    }
    println!("done");
    thread::sleep(Duration::from_secs(600));
}

fn start(deed: &str) -> (Child, BufReader<ChildStdout>, PathBuf) {
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.args(["--exact", "child", "--ignored", "--nocapture"]).env(DEED, deed);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("this program runs");
    let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
    let folder = loop {
        let line = line(&mut output);
        if let Some(folder) = line.strip_prefix(ANNOUNCEMENT) {
            break PathBuf::from(folder);
        }
    };
    (child, output, folder)
}

fn line(output: &mut impl BufRead) -> String {
    let mut line = String::new();
    assert_ne!(output.read_line(&mut line).expect("it is text"), 0, "the child ends too early");
    line.trim_end().to_owned()
}

/// How many processes the server in this folder has. They show the folder in their command lines, which anybody may
/// read. Only those who may trace a process can read its working directory.
fn processes(folder: &Path) -> usize {
    let name = folder.file_name().and_then(OsStr::to_str).expect("it is text");
    let processes = fs::read_dir("/proc").expect("/proc is there").flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.filter(|line| is_server(&String::from_utf8_lossy(line), name)).count()
}

/// Whether the command line is `…/postgres -D FOLDER/data …` or `postgres: NAME: …`.
fn is_server(line: &str, name: &str) -> bool {
    let program = line.split(['\0', ':']).next().unwrap_or_default();
    program.ends_with("postgres") && line.contains(name)
}

fn nothing_is_left_of(folder: &Path) {
    wait_for(|| match (folder.exists(), processes(folder)) {
        (false, 0) => Ok(()),
        (exists, count) => Err(format!("{} exists: {exists}; processes: {count}", folder.display())),
    });
}

#[test]
fn nothing_is_left_of_a_dropped_cluster() {
    for stop in [None, Some(Stop::Fast), Some(Stop::Kill)] {
        let cluster = Cluster::start();
        let folder = cluster.folder().to_owned();
        if let Some(how) = stop {
            cluster.stop(how);
        }
        drop(cluster);
        assert!(!folder.exists() && processes(&folder) == 0, "{stop:?}");
    }
}

mod slow {
    use super::*;

    #[test]
    fn nothing_is_left_after_a_process_that_ends_by_itself() {
        for deed in ["return", "exit", "abort", "panic"] {
            let (mut child, mut output, folder) = start(deed);
            // The output would not end if a server held the pipe open.
            output.read_to_end(&mut Vec::new()).expect("it is read");
            let status = child.wait().expect("it is a child");
            assert_eq!(status.success(), matches!(deed, "return" | "exit"), "{deed}");
            nothing_is_left_of(&folder);
        }
    }

    #[test]
    fn nothing_is_left_after_a_process_that_is_killed() {
        for deed in ["pause", "crash", "query"] {
            let (mut child, mut output, folder) = start(deed);
            if deed == "query" {
                thread::sleep(Duration::from_millis(300));
            } else {
                assert_eq!(line(&mut output), "done");
            }
            assert_eq!(processes(&folder) == 0, deed == "crash", "the server runs, except after a crash");
            child.kill().expect("it runs");
            assert_eq!(child.wait().expect("it is a child").signal(), Some(9));
            nothing_is_left_of(&folder);
        }
    }
}
