//! The vectors in `tests/vectors`, which any other verifier can run: ours and the one in Python accept and refuse the same.
//!
//! `BLESS=1` writes the files anew. Their keys are made of fixed seeds.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use audit_evidence::check::{Pins, Verdict, check};
use audit_evidence::prove::{self, Which};
use audit_evidence::prune::{Policy, Trail, prune};
use audit_evidence::verify::{Options, verify};
use audit_evidence::{Files, Log, LogFolder, leaf};
use audit_format::event::Event;
use audit_format::line::put_event;
use audit_format::time::{Day, Timestamp};
use audit_log::checkpoint::{Checkpoint, SignedCheckpoint};
use audit_log::cosignature::{Cosigner, CosignerKey, Time};
use audit_log::note::{Note, SigningKey, Text, VerifierKey};
use audit_log::tree::{CompactRange, Hash, consistency, inclusion};
use base64ct::{Base64, Encoding as _};
use common::{append, key, line, origin, own_line, seal_into};
use serde_json::{Value, json};

const MONDAY: &str = "tool_audit_2026-11-23.jsonl";
const TUESDAY: &str = "tool_audit_2026-11-24.jsonl";

fn root_of_repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn file(name: &str) -> PathBuf {
    root_of_repository().join("tests/vectors").join(format!("{name}.json"))
}

/// Compares cases with those of the file, has `ours` judge each, and then Python.
fn run(name: &str, cases: Vec<Value>, ours: impl Fn(&Value) -> bool) {
    let lines: Vec<String> = cases.iter().map(Value::to_string).collect();
    let text = format!("[\n{}\n]\n", lines.join(",\n"));
    if std::env::var_os("BLESS").is_some() {
        fs::write(file(name), &text).unwrap();
    }
    assert!(
        fs::read_to_string(file(name)).unwrap() == text,
        "{name}.json has other cases; BLESS=1 writes it anew"
    );
    for case in &cases {
        assert_eq!(ours(case), case["accepted"], "{}", case["name"]);
    }
    let output = Command::new("python3")
        .arg(root_of_repository().join("tests/verifier/vectors.py"))
        .arg(file(name))
        .output()
        .expect("the tests need python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
}

fn text<'c>(case: &'c Value, name: &str) -> &'c str {
    case[name].as_str().unwrap()
}

fn texts(case: &Value, name: &str) -> Vec<String> {
    let list = case[name].as_array().cloned().unwrap_or_default();
    list.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn keys(case: &Value) -> Option<Vec<VerifierKey>> {
    texts(case, "keys").iter().map(|key| key.parse().ok()).collect()
}

fn witnesses(case: &Value) -> Option<Vec<CosignerKey>> {
    texts(case, "witnesses").iter().map(|key| key.parse().ok()).collect()
}

fn hash(case: &Value, name: &str) -> Hash {
    text(case, name).parse().unwrap()
}

fn hashes(case: &Value, name: &str) -> Vec<Hash> {
    texts(case, name).iter().map(|text| text.parse().unwrap()).collect()
}

fn number(case: &Value, name: &str) -> u64 {
    case[name].as_u64().unwrap()
}

fn witness(seed: u8) -> Cosigner {
    Cosigner::from_seed(format!("witness.example/{seed}").parse().unwrap(), &[seed; 32])
}

fn signed(size: u64, root: Hash) -> SignedCheckpoint {
    SignedCheckpoint::sign(Checkpoint::new(origin(), size, root).unwrap(), &key())
}

const SPECIFIED: &str = "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
const SPECIFIED_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

#[test]
fn notes() {
    let other = SigningKey::from_seed("example.com/other".parse().unwrap(), &[1; 32]);
    let own = Note::sign("a\n\nb\n".parse::<Text>().unwrap(), &key()).to_string();
    let by_other = Note::sign("a\n".parse::<Text>().unwrap(), &other).to_string();
    let unknown = by_other.lines().last().unwrap();
    let (ours, theirs) = (key().verifier().to_string(), SPECIFIED_KEY.to_owned());
    let small_order = "example.com/weak+eedbb23f+AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let case = |name: &str, note: &str, key: &str, accepted: bool| json!({"name": name, "note": note, "keys": [key], "accepted": accepted});
    let cases = vec![
        case("the example of the specification", SPECIFIED, &theirs, true),
        case("another text", &SPECIFIED.replace("an example", "no example"), &theirs, false),
        case("another key", SPECIFIED, &ours, false),
        case("one bit of the signature", &SPECIFIED.replace("Uw2QOkn8", "Uw2QOkn9"), &theirs, false),
        case("another identifier", &SPECIFIED.replace("Uw2QOkn8", "Vw2QOkn8"), &theirs, false),
        case("empty lines in the text", &own, &ours, true),
        case(
            "a signature of an unknown key before",
            &own.replace("\n\n—", &format!("\n\n{unknown}\n—")),
            &ours,
            true,
        ),
        case("a signature of an unknown key alone", &by_other, &ours, false),
        case("the same signature twice", &format!("{own}{}\n", own.lines().last().unwrap()), &ours, true),
        case(
            "a wrong signature of a known key beside a right one",
            &format!("{own}{}\n", wrong_signature(&own)),
            &ours,
            false,
        ),
        case("no newline at the end", own.trim_end(), &ours, false),
        case("no signature", "a\n\n", &ours, false),
        case("no empty line", &own.replace("\n\n", "\n"), &ours, false),
        case("a carriage return", &own.replace("a\n", "a\r\n"), &ours, false),
        case("a hyphen in the place of the dash", &own.replace('—', "-"), &ours, false),
        case("a key of another identifier", SPECIFIED, &theirs.replace("530d903a", "530d903b"), false),
        case("a key of small order", &SPECIFIED.replace("/foo", "/weak"), small_order, false),
        case("a key of a witness", SPECIFIED, &witness(1).verifier().to_string(), false),
    ];
    run("notes", cases, |case| {
        let Some(keys) = keys(case) else { return false };
        Note::parse(text(case, "note").as_bytes())
            .is_ok_and(|note| note.verified_by(&keys).is_ok_and(|by| !by.is_empty()))
    });
}

/// The last signature of a note with one bit of it changed.
fn wrong_signature(note: &str) -> String {
    let (name, signature) = note.trim_end().rsplit_once(' ').unwrap();
    let mut bytes = Base64::decode_vec(signature).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    format!("{} {}", name.rsplit_once('\n').unwrap().1, Base64::encode_string(&bytes))
}

#[test]
fn checkpoints() {
    let head = signed(5, Hash([5; 32]));
    let mut seen = head.clone();
    for number in [1, 2] {
        seen.add(witness(number).cosign(Time::new(1_800_000_000).unwrap(), head.unverified())).unwrap();
    }
    // Another checkpoint's cosignature.
    let mut wrong = head.clone();
    let other = Checkpoint::new(origin(), 6, Hash([6; 32])).unwrap();
    wrong.add(witness(1).cosign(Time::new(1).unwrap(), &other)).unwrap();
    let known =
        |numbers: &[u8]| numbers.iter().map(|one| witness(*one).verifier().to_string()).collect::<Vec<_>>();
    // A log is no witness of itself.
    let own = Cosigner::from_seed("example.com/itself".parse().unwrap(), &[7; 32]);
    let mut itself = head.clone();
    itself.add(own.cosign(Time::new(1).unwrap(), head.unverified())).unwrap();
    let resigned = |text: &str| Note::sign(text.parse::<Text>().unwrap(), &key()).to_string();
    let root = Hash([5; 32]);
    let empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let case = |name: &str, note: String, witnesses: Vec<String>, quorum: usize, accepted: bool| {
        json!({"name": name, "note": note, "keys": [key().verifier().to_string()], "origin": common::NAME,
            "witnesses": witnesses, "quorum": quorum, "accepted": accepted})
    };
    let cases = vec![
        case("signed by the log", head.to_string(), vec![], 0, true),
        case("of another log", resigned(&format!("example.com/other\n5\n{root}\n")), vec![], 0, false),
        case(
            "a size with a leading zero",
            resigned(&format!("{}\n05\n{root}\n", common::NAME)),
            vec![],
            0,
            false,
        ),
        case(
            "a size above 2^64",
            resigned(&format!("{}\n18446744073709551616\n{root}\n", common::NAME)),
            vec![],
            0,
            false,
        ),
        case(
            "the largest size",
            resigned(&format!("{}\n18446744073709551615\n{root}\n", common::NAME)),
            vec![],
            0,
            true,
        ),
        case("a short root", resigned(&format!("{}\n5\nBQUF\n", common::NAME)), vec![], 0, false),
        case("no root", resigned(&format!("{}\n5\n", common::NAME)), vec![], 0, false),
        case("an extension", resigned(&format!("{}\n5\n{root}\nmore\n", common::NAME)), vec![], 0, true),
        case("no leaves", resigned(&format!("{}\n0\n{empty}\n", common::NAME)), vec![], 0, true),
        case(
            "no leaves and another root",
            resigned(&format!("{}\n0\n{root}\n", common::NAME)),
            vec![],
            0,
            false,
        ),
        case("two witnesses", seen.to_string(), known(&[1, 2]), 2, true),
        case("one of two witnesses that are known", seen.to_string(), known(&[1]), 2, false),
        case("witnesses that are unknown", seen.to_string(), known(&[3]), 0, true),
        case("a witness that did not sign", head.to_string(), known(&[1]), 1, false),
        case("a cosignature of another checkpoint", wrong.to_string(), known(&[1]), 0, false),
        case(
            "a cosignature of another checkpoint, of a witness that is unknown",
            wrong.to_string(),
            known(&[2]),
            0,
            true,
        ),
        case("the log as its own witness", itself.to_string(), vec![own.verifier().to_string()], 1, false),
    ];
    run("checkpoints", cases, |case| {
        let (keys, witnesses) = (keys(case).unwrap(), witnesses(case).unwrap());
        let holds = |signed: SignedCheckpoint| {
            let mut by = signed.cosigned_by(&witnesses).ok()?;
            by.retain(|one| keys.iter().all(|key| key.bytes() != one.key.bytes()));
            let is_signed = signed.verify(&text(case, "origin").parse().unwrap(), &keys).is_ok();
            Some(is_signed && by.len() as u64 >= number(case, "quorum"))
        };
        SignedCheckpoint::parse(text(case, "note").as_bytes()).ok().and_then(holds) == Some(true)
    });
}

/// The leaves whose trees are known from RFC 6962 and its first implementations.
const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn roots() {
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let case = |size: usize, root: &str, accepted: bool| {
        let name = format!("{size} leaves{}", if accepted { "" } else { ", another root" });
        json!({"name": name, "leaves": LEAVES[..size], "root": root, "accepted": accepted})
    };
    let right = (0..=8).map(|size| case(size, roots[size], true));
    let wrong = (0..8).map(|size| case(size, roots[size + 1], false));
    run("roots", right.chain(wrong).collect(), |case| {
        let mut tree = CompactRange::new();
        let leaves = texts(case, "leaves");
        tree.extend(leaves.iter().map(|leaf| Hash::of_leaf(&unhex(leaf)))).unwrap();
        tree.root().to_hex() == text(case, "root")
    });
}

/// The cases of transparency-dev/merkle are in `log/tests/vectors`: Python runs these too.
#[test]
fn proofs_of_others() {
    let file = |name| root_of_repository().join("log/tests/vectors").join(name);
    let output = Command::new("python3")
        .arg(root_of_repository().join("tests/verifier/vectors.py"))
        .args([file("inclusion.json"), file("consistency.json")])
        .output()
        .expect("the tests need python3");
    let said = String::from_utf8(output.stdout).unwrap();
    // There, a proof from the tree without leaves is refused. Here it is as C2SP tlog-witness has it.
    let but_one = "consistency.json: additional/size1-is-zero-and-size2-is-not-zero: accepted\n";
    assert!(
        said.lines().count() == 2 && said.contains(but_one) && said.contains(" cases, 1 of them"),
        "{said}"
    );
}

#[test]
fn inclusions() {
    let leaves: Vec<Hash> = (0..300_u32).map(|n| Hash::of_leaf(&n.to_be_bytes())).collect();
    let mut cases = Vec::new();
    for (index, size) in
        [(0, 1), (0, 2), (1, 2), (2, 3), (3, 7), (255, 256), (255, 257), (256, 257), (17, 300), (299, 300)]
    {
        let leaves = &leaves[..size as usize];
        let root = root_of(leaves);
        let proof = inclusion::prove(index, size, &mut nodes(leaves)).unwrap();
        let case = |what: &str, index: u64, size: u64, proof: &[Hash], accepted: bool| {
            json!({"name": format!("{index} of {size}{what}"), "index": index, "size": size, "leaf": leaves[(index as usize).min(leaves.len() - 1)].to_string(),
                "proof": proof.iter().map(ToString::to_string).collect::<Vec<_>>(), "root": root.to_string(), "accepted": accepted})
        };
        cases.push(case("", index, size, &proof, true));
        cases.push(case(", one hash more", index, size, &[&proof[..], &[Hash([1; 32])]].concat(), false));
        cases.push(case(", outside of the tree", size, size, &proof, false));
        if let Some((_, shorter)) = proof.split_last() {
            cases.push(case(", one hash less", index, size, shorter, false));
            let mut flipped = proof.clone();
            flipped[0].0[31] ^= 1;
            cases.push(case(", one bit", index, size, &flipped, false));
        }
    }
    run("inclusions", cases, |case| {
        let proof = hashes(case, "proof");
        inclusion::verify(
            number(case, "index"),
            number(case, "size"),
            hash(case, "leaf"),
            &proof,
            hash(case, "root"),
        )
        .is_ok()
    });
}

#[test]
fn consistency_proofs() {
    let leaves: Vec<Hash> = (0..300_u32).map(|n| Hash::of_leaf(&n.to_be_bytes())).collect();
    let mut cases = Vec::new();
    for (old, new) in [
        (0, 0),
        (0, 5),
        (1, 1),
        (1, 2),
        (2, 3),
        (3, 7),
        (4, 7),
        (6, 8),
        (255, 256),
        (256, 257),
        (256, 300),
        (299, 300),
    ] {
        let (old_root, root) = (root_of(&leaves[..old as usize]), root_of(&leaves[..new as usize]));
        let proof = consistency::prove(old, new, &mut nodes(&leaves[..new as usize])).unwrap();
        let case = |what: &str, proof: &[Hash], old_root: Hash, accepted: bool| {
            json!({"name": format!("from {old} to {new}{what}"), "old": old, "new": new, "old_root": old_root.to_string(),
                "proof": proof.iter().map(ToString::to_string).collect::<Vec<_>>(), "new_root": root.to_string(), "accepted": accepted})
        };
        cases.push(case("", &proof, old_root, true));
        cases.push(case(", another old root", &proof, Hash([2; 32]), false));
        cases.push(case(", one hash more", &[&proof[..], &[Hash([1; 32])]].concat(), old_root, false));
        if let Some((_, shorter)) = proof.split_last() {
            cases.push(case(", one hash less", shorter, old_root, false));
            let mut flipped = proof.clone();
            flipped[0].0[0] ^= 0x80;
            cases.push(case(", one bit", &flipped, old_root, false));
        }
    }
    run("consistency", cases, |case| {
        let (old_root, new_root) = (hash(case, "old_root"), hash(case, "new_root"));
        consistency::verify(
            number(case, "old"),
            number(case, "new"),
            &hashes(case, "proof"),
            old_root,
            new_root,
        )
        .is_ok()
    });
}

fn root_of(leaves: &[Hash]) -> Hash {
    let mut tree = CompactRange::new();
    tree.extend(leaves.iter().copied()).unwrap();
    tree.root()
}

/// The hashes of a tree in memory.
fn nodes(leaves: &[Hash]) -> impl FnMut(audit_log::tree::Node) -> Result<Hash, std::convert::Infallible> {
    |node| {
        let (from, len) = ((node.index << node.level) as usize, 1_usize << node.level);
        Ok(root_of(&leaves[from..from + len]))
    }
}

#[test]
fn lines() {
    let own = own_line("2026-11-23", 7);
    let foreign = |text: &str| text.to_owned();
    let cases = [
        ("a line of a store", own.clone(), true),
        ("a line of a store with another hash", own.replacen(&own[own.len() - 10..], "00000000\"}", 1), true),
        ("spaces and a byte order mark before", format!("\u{feff}  {own}\r"), true),
        ("a stamp with a time that no store writes", own.replace(".000000Z", ".000Z"), true),
        ("an identifier that is none", own.replace("\"id\":\"0", "\"id\":\"x"), true),
        ("a stamp with a constant of Python", own.replace(",\"seq\"", ",\"x\":NaN,\"seq\""), true),
        ("a stamp with a control character in a name", own.replace(",\"seq\"", ",\"x\0\":1,\"seq\""), false),
        ("another writer's line", line("search", 3), true),
        (
            "spaces, another order and an unknown field",
            foreign(r#"{ "tool" : "search" , "x": [1, {"y": 2}], "ts": "2026-11-23T07:30:00+01:00" }"#),
            true,
        ),
        (
            "numbers with fractions",
            foreign(r#"{"ts":"2026-11-23T06:30:00Z","duration_ms":12.5,"in_size":13.5,"out_size":1e3}"#),
            true,
        ),
        (
            "numbers out of range",
            foreign(
                r#"{"ts":"2026-11-23T06:30:00Z","duration_ms":-4,"in_size":18446744073709551615,"out_size":99999999999999999999}"#,
            ),
            true,
        ),
        (
            "older names, and a field twice",
            foreign(
                r#"{"ts":"2026-11-23T06:30:00Z","input_chars":4,"output_size_bytes":5,"tool":"a","tool":"b"}"#,
            ),
            true,
        ),
        (
            "escapes",
            foreign(
                r#"{"ts":"2026-11-23T06:30:00Z","tool":"a\"\\\/\b\f\n\r\t\u001f\u00e9\ud83d\ude00é\u007f"}"#,
            ),
            true,
        ),
        (
            "attributes in another order",
            foreign(r#"{"ts":"2026-11-23T06:30:00Z","attributes":{"model":"m","call_id":"7"}}"#),
            true,
        ),
        (
            "optional fields",
            foreign(r#"{"ts":"2026-11-23T06:30:00Z","job_id":"","graph_node":null,"graph_run_id":"r"}"#),
            true,
        ),
        ("a time of seconds", foreign(r#"{"ts":1795415400.25,"tool":"a"}"#), true),
        ("a time of milliseconds", foreign(r#"{"ts":1795415400250,"tool":"a"}"#), true),
        (
            "a time without an offset, and digits finer than a microsecond",
            foreign(r#"{"ts":"2026-11-23 06:30:00.1234567","tool":"a"}"#),
            true,
        ),
        ("no time", foreign(r#"{"tool":"a"}"#), false),
        ("a time that is none", foreign(r#"{"ts":"soon","tool":"a"}"#), false),
        ("a torn line", own[..100].to_owned(), false),
        ("the end of a torn line", own[100..].to_owned(), false),
        ("no object", foreign("[1]"), false),
        ("nothing", String::new(), false),
    ];
    let cases = cases.into_iter().map(|(name, line, accepted)| {
        let body = leaf::body_of_line(line.as_bytes()).map(|body| String::from_utf8(body).unwrap());
        json!({"name": name, "line": Base64::encode_string(line.as_bytes()), "body": body, "accepted": accepted})
    });
    run("lines", cases.collect(), |case| {
        let line = Base64::decode_vec(text(case, "line")).unwrap();
        leaf::body_of_line(&line).is_some_and(|body| body == text(case, "body").as_bytes())
    });
}

/// A small record with its log: two days, sealed twice.
fn record() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |file: &str, line: String| append(&folder.path().join(file), line + "\n");
    (0..4).for_each(|number| put(MONDAY, own_line("2026-11-23", number)));
    put(TUESDAY, own_line("2026-11-24", 4));
    seal(folder.path());
    put(TUESDAY, "garbage".into());
    put(TUESDAY, line("foreign", 1));
    put(TUESDAY, own_line("2026-11-24", 5));
    seal(folder.path());
    folder
}

fn seal(folder: &Path) {
    seal_into(&folder.join("log"), &mut Files::new(folder)).unwrap();
}

#[test]
fn proofs() {
    let folder = record();
    let log = Log::new(LogFolder::new(folder.path().join("log")));
    let prove =
        |index| prove::event(&log, &mut Files::new(folder.path()), Which::Index(index)).unwrap().to_string();
    let right = prove(3);
    let case = |name: &str, file: &str, accepted: bool| json!({"name": name, "file": file, "keys": [key().verifier().to_string()], "witnesses": [], "quorum": 0, "accepted": accepted});
    let without_extra: String =
        right.split_inclusive('\n').filter(|line| !line.starts_with("extra")).collect();
    let hashes: Vec<&str> = right.lines().skip(3).take_while(|line| !line.is_empty()).collect();
    let extra = |text: &str| Base64::encode_string(text.as_bytes());
    let event = String::from_utf8(leaf::body_of_line(own_line("2026-11-23", 3).as_bytes()).unwrap()).unwrap();
    let mut cases: Vec<Value> =
        (0..7).map(|index| case(&format!("event {index}"), &prove(index), true)).collect();
    cases.extend([
        case("without the event", &without_extra, false),
        case("another index", &right.replace("index 3", "index 2"), false),
        case("an index outside of the tree", &right.replace("index 3", "index 7"), false),
        case(
            "another event",
            &right.replace(&extra(&event), &extra(&event.replace("\"sort\"", "\"sore\""))),
            false,
        ),
        case("another header", &right.replace("@v1", "@v2"), false),
        case("one hash less", &right.replace(&format!("{}\n", hashes[0]), ""), false),
        case(
            "two hashes swapped",
            &right.replace(hashes[0], "?").replace(hashes[1], hashes[0]).replace('?', hashes[1]),
            false,
        ),
        case("another size in the checkpoint", &right.replace("\n7\n", "\n8\n"), false),
        case(
            "the checkpoint of another key",
            &{
                let (head, note) = right.split_once("\n\n").unwrap();
                let (text, _) = note.rsplit_once("\n\n").unwrap();
                let other = SigningKey::from_seed(common::NAME.parse().unwrap(), &[8; 32]);
                format!("{head}\n\n{}", Note::sign(format!("{text}\n").parse::<Text>().unwrap(), &other))
            },
            false,
        ),
    ]);
    run("proofs", cases, |case| {
        let pins = Pins { log: keys(case).unwrap(), ..Pins::default() };
        check(text(case, "file").as_bytes(), &pins, None, &[])
            .is_ok_and(|report| report.verdict == Verdict::Holds)
    });
}

/// The files below a folder, in base 64.
fn content(folder: &Path) -> Value {
    let names = common::tree_of(folder);
    let names = names.lines().filter(|name| !name.ends_with("lock"));
    names
        .map(|name| {
            (name.to_owned(), Value::from(Base64::encode_string(&fs::read(folder.join(name)).unwrap())))
        })
        .collect()
}

/// Changes a file of a folder.
fn change(folder: &Path, file: &str, with: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let path = folder.join(file);
    fs::write(&path, with(fs::read(&path).unwrap())).unwrap();
}

fn edit(folder: &Path, file: &str, with: impl FnOnce(Vec<String>) -> Vec<String>) {
    change(folder, file, |bytes| {
        let lines = String::from_utf8(bytes).unwrap();
        with(lines.lines().map(str::to_owned).collect())
            .iter()
            .flat_map(|line| [line, "\n"])
            .collect::<String>()
            .into_bytes()
    });
}

/// Prunes Monday, and seals the event that says so.
fn prune_monday(folder: &Path) {
    struct Append(PathBuf);
    impl Trail for Append {
        fn record(&mut self, event: &Event<'_>) -> Result<(), String> {
            let mut line = Vec::new();
            put_event(&Event { ts: "2026-11-25T12:00:00.000000Z".into(), ..event.clone() }, &mut line);
            line.push(b'\n');
            append(&self.0, line);
            Ok(())
        }
    }
    let policy = Policy {
        before: Day::parse("2026-11-24").unwrap(),
        now: Timestamp::parse("2026-11-25T12:00:00Z").unwrap(),
        by: "ops".into(),
        archive: None,
        dry_run: false,
    };
    let mut log = Log::new(LogFolder::for_sealing(folder.join("log")).unwrap());
    let mut trail = Append(folder.join("tool_audit_2026-11-25.jsonl"));
    prune(&mut log, &mut Files::new(folder), &mut trail, &policy, &mut |_| Ok(())).unwrap();
    drop(log);
    seal(folder);
}

#[test]
fn records() {
    let mut cases = Vec::new();
    let mut case = |name: &str, accepted: bool, against: &[String], with: &dyn Fn(&Path)| {
        let folder = record();
        with(folder.path());
        cases.push(json!({"name": name, "keys": [key().verifier().to_string()], "against": against,
            "files": content(folder.path()), "accepted": accepted}));
    };
    let last = fs::read_to_string(record().path().join("log/checkpoint")).unwrap();
    let against = std::slice::from_ref(&last);
    let swap = |mut lines: Vec<String>| {
        lines.swap(1, 2);
        lines
    };
    case("an honest record", true, &[], &|_| {});
    case("an honest record and its own checkpoint", true, against, &|_| {});
    case("events that are not sealed yet", true, against, &|at| {
        append(&at.join(TUESDAY), own_line("2026-11-24", 6) + "\n")
    });
    case("a torn line at the end", true, &[], &|at| append(&at.join(TUESDAY), "{\"ts\":\"2026"));
    case("a log that has grown since a checkpoint was kept", true, against, &|at| {
        append(&at.join(TUESDAY), own_line("2026-11-24", 6) + "\n");
        seal(at);
    });
    case("a changed field", false, &[], &|at| {
        edit(at, MONDAY, |lines| {
            lines.iter().map(|line| line.replacen("\"duration_ms\":2", "\"duration_ms\":9", 1)).collect()
        })
    });
    case("a changed field, with a hash that fits", false, &[], &|at| {
        edit(at, MONDAY, |mut lines| {
            let body =
                leaf::body_of_line(lines[2].replacen("\"duration_ms\":2", "\"duration_ms\":9", 1).as_bytes());
            lines[2] = leaf::line_of_body(&body.unwrap()).unwrap();
            lines
        })
    });
    case("a removed line", false, &[], &|at| edit(at, MONDAY, |lines| [&lines[..1], &lines[2..]].concat()));
    case("the last line removed", false, &[], &|at| {
        edit(at, TUESDAY, |lines| lines[..lines.len() - 1].to_vec())
    });
    case("two lines swapped", false, &[], &|at| edit(at, MONDAY, swap));
    case("an inserted line", false, &[], &|at| {
        edit(at, MONDAY, |lines| [&lines[..1], &[own_line("2026-11-23", 50)], &lines[1..]].concat())
    });
    case("a line twice", false, &[], &|at| edit(at, MONDAY, |lines| [&lines[..1], &lines[..]].concat()));
    case("a line in another day's file", false, &[], &|at| {
        edit(at, MONDAY, |lines| lines[..3].to_vec());
        edit(at, TUESDAY, |lines| [&[own_line("2026-11-23", 3)], &lines[..]].concat());
    });
    case("a file that is gone", false, &[], &|at| fs::remove_file(at.join(MONDAY)).unwrap());
    case("a bit of a leaf in the tiles", false, &[], &|at| {
        change(at, "log/tile/0/000.p/7", |mut tile| {
            tile[40] ^= 1;
            tile
        })
    });
    case("a checkpoint of another key", false, &[], &|at| {
        change(at, "log/checkpoint", |bytes| {
            let head = SignedCheckpoint::parse(&bytes).unwrap();
            let other = SigningKey::from_seed(common::NAME.parse().unwrap(), &[8; 32]);
            SignedCheckpoint::sign(head.unverified().clone(), &other).to_string().into_bytes()
        })
    });
    let roll_back = |at: &Path| {
        fs::remove_dir_all(at.join("log")).unwrap();
        edit(at, TUESDAY, |lines| lines[..1].to_vec());
        seal(at);
    };
    case("record and log rolled back", true, &[], &roll_back);
    case("record and log rolled back, and a checkpoint that was kept", false, against, &roll_back);
    let rewrite = |at: &Path| {
        fs::remove_dir_all(at.join("log")).unwrap();
        edit(at, MONDAY, swap);
        seal(at);
    };
    case("record and log written anew", true, &[], &rewrite);
    case("record and log written anew, and a checkpoint that was kept", false, against, &rewrite);
    case("a day that was pruned", true, against, &prune_monday);
    case("a day that was pruned, and events of it that came later", true, &[], &|at| {
        prune_monday(at);
        append(&at.join(MONDAY), own_line("2026-11-23", 6) + "\n");
        seal(at);
    });
    case("a pruned day without the event that says so", false, &[], &|at| {
        prune_monday(at);
        fs::remove_dir_all(at.join("log")).unwrap();
        fs::remove_file(at.join("tool_audit_2026-11-25.jsonl")).unwrap();
        let whole = record();
        for name in common::tree_of(&whole.path().join("log")).lines() {
            let to = at.join("log").join(name);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(whole.path().join("log").join(name), to).unwrap();
        }
        let place = json!({"ts": "2026-11-25T12:00:00.000000Z", "by": "ops", "size": 7, "index": 0, "count": 4, "file": MONDAY,
            "from": 0, "to": 1, "archive": null});
        fs::write(at.join("log/pruned.jsonl"), format!("{place}\n")).unwrap();
    });
    case("a declaration that was added to after the event", false, &[], &|at| {
        prune_monday(at);
        let mut text = fs::read_to_string(at.join("log/pruned.jsonl")).unwrap();
        text += &text.replace("\"index\":0,\"count\":4", "\"index\":4,\"count\":1").replace(MONDAY, TUESDAY);
        fs::write(at.join("log/pruned.jsonl"), text).unwrap();
        edit(at, TUESDAY, |lines| lines[1..].to_vec());
    });
    run_records(cases);
}

fn run_records(cases: Vec<Value>) {
    run("records", cases, |case| {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in case["files"].as_object().unwrap() {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, Base64::decode_vec(content.as_str().unwrap()).unwrap()).unwrap();
        }
        let kept = |text: String| ("kept".to_owned(), SignedCheckpoint::parse(text.as_bytes()).unwrap());
        let (keys, against) =
            (keys(case).unwrap(), texts(case, "against").into_iter().map(kept).collect::<Vec<_>>());
        let options = Options { keys: &keys, against: &against, ..Options::default() };
        let log = Log::new(LogFolder::new(folder.path().join("log")));
        let verdict = verify(&log, &mut Files::new(folder.path()), &options, &mut |_| {});
        let verdict = verdict.unwrap();
        println!("{}: {:?}", case["name"], verdict.findings);
        verdict.findings.is_empty()
    });
}
