//! Where checkpoints go: into other folders and to a witness, which both notice a log that was set back or made anew.

mod common;

use std::fs;
use std::path::Path;

use audit_evidence::publish::{Post, PublishError, copy_to, cosign, is_cosigned};
use audit_evidence::{Log, LogFolder, Outcome, Table, seal};
use audit_log::checkpoint::SignedCheckpoint;
use audit_log::cosignature::{Cosigner, Time};
use audit_log::tree::Hash;
use audit_log::witness::{AddCheckpoint, Answer};
use common::{MemoryTable, key, origin};
use tempfile::TempDir;

/// A log of a table whose rows say which table it is.
struct Sealing {
    folder: TempDir,
    rows: MemoryTable,
    log: Log<LogFolder>,
}

impl Sealing {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::new(LogFolder::for_sealing(folder.path()).unwrap());
        Self { folder, rows: MemoryTable::default(), log }
    }

    fn seal(&mut self, ids: impl IntoIterator<Item = i64>) -> Outcome {
        self.rows.insert(ids);
        seal(&mut self.log, &mut Table::new(self.rows.clone()), &origin(), &key()).unwrap()
    }

    fn copy_to(&self, folder: &Path, signed: &SignedCheckpoint) -> Result<bool, PublishError> {
        copy_to(folder, &self.log, signed, &key().verifier())
    }

    fn kept(&self) -> SignedCheckpoint {
        self.log.checkpoint().unwrap().unwrap()
    }
}

/// A witness as the specification has it.
struct Witness {
    key: Cosigner,
    last: Option<(u64, Hash)>,
    asked: u64,
    is_away: bool,
}

impl Witness {
    fn new() -> Self {
        let key = Cosigner::from_seed("example.org/witness".parse().unwrap(), &[9; 32]);
        Self { key, last: None, asked: 0, is_away: false }
    }

    fn answer(&mut self, body: &str) -> Answer {
        let Ok(request) = AddCheckpoint::parse(body.as_bytes()) else { return Answer::BadRequest };
        let Ok(head) = request.checkpoint().verify(&origin(), &[key().verifier()]) else {
            return Answer::Unsigned;
        };
        if let Err(refused) = request.check(self.last) {
            return (&refused).into();
        }
        self.last = Some((head.size(), head.root()));
        Answer::Cosigned(vec![self.key.cosign(Time::new(1_800_000_000).unwrap(), head)])
    }
}

impl Post for Witness {
    fn post(&mut self, body: String) -> Result<(u16, Vec<u8>), String> {
        if self.is_away {
            return Err("there is no route to it".into());
        }
        self.asked += 1;
        let answer = self.answer(&body);
        Ok((answer.status(), answer.to_string().into_bytes()))
    }
}

impl Sealing {
    fn cosign(&mut self, witness: &mut Witness, outcome: &mut Outcome) -> Result<bool, PublishError> {
        let verifier = witness.key.verifier();
        let is_known = is_cosigned(&outcome.before, &verifier)?;
        let known = if is_known { outcome.before.unverified().size() } else { 0 };
        cosign(&mut self.log, &mut outcome.checkpoint, &verifier, known, witness)
    }
}

#[test]
fn a_copy_follows_the_log_and_is_replaced_by_no_other_one() {
    let (mut log, copies) = (Sealing::new(), tempfile::tempdir().unwrap());
    let copy = || fs::read_to_string(copies.path().join("checkpoint")).unwrap();
    let first = log.seal(1..=300).checkpoint;
    assert!(log.copy_to(copies.path(), &first).unwrap());
    assert!(!log.copy_to(copies.path(), &first).unwrap());
    let second = log.seal(301..=700).checkpoint;
    assert!(log.copy_to(copies.path(), &second).unwrap());
    assert_eq!(copy(), second.to_string());

    let refused = log.copy_to(copies.path(), &first).unwrap_err();
    assert!(matches!(refused, PublishError::SetBack { seen: 700, size: 300, .. }), "{refused}");
    // The same log, made anew from a record without one of the events.
    let mut anew = Sealing::new();
    let made = anew.seal((1..=800).filter(|id| *id != 17)).checkpoint;
    let refused = anew.copy_to(copies.path(), &made).unwrap_err();
    assert!(refused.is_contradiction(), "{refused}");
    assert!(matches!(refused, PublishError::Contradicts { seen: 700, .. }), "{refused}");
    assert_eq!(copy(), second.to_string());
}

#[test]
fn what_is_no_copy_of_the_log_is_never_replaced() {
    let (mut log, copies) = (Sealing::new(), tempfile::tempdir().unwrap());
    let signed = log.seal(1..=3).checkpoint;
    let path = copies.path().join("checkpoint");
    fs::write(&path, "notes").unwrap();
    assert!(matches!(log.copy_to(copies.path(), &signed), Err(PublishError::NoCheckpoint { .. })));
    let other = signed.to_string().replace("example.com/audit", "example.com/other");
    fs::write(&path, &other).unwrap();
    assert!(matches!(log.copy_to(copies.path(), &signed), Err(PublishError::OtherCopy { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), other);
    let nowhere = copies.path().join("not-mounted");
    assert!(matches!(log.copy_to(&nowhere, &signed), Err(PublishError::NoFolder { .. })));
    assert!(!nowhere.exists());
}

#[test]
fn a_witness_signs_each_checkpoint_and_its_cosignature_is_kept() {
    let (mut log, mut witness) = (Sealing::new(), Witness::new());
    let verifier = witness.key.verifier();
    let mut empty = log.seal([]);
    assert!(!log.cosign(&mut witness, &mut empty).unwrap(), "there is nothing to sign yet");
    for end in [3, 300, 70_000] {
        let mut outcome = log.seal(1..=end);
        assert!(log.cosign(&mut witness, &mut outcome).unwrap());
        assert_eq!(log.kept(), outcome.checkpoint);
        assert!(is_cosigned(&log.kept(), &verifier).unwrap());
        assert!(log.kept().verify(&origin(), &[key().verifier()]).is_ok());
    }
    // The first one knew that it was the first, and each other knew the one before.
    assert_eq!(witness.asked, 3);
    let mut same = log.seal([]);
    assert!(is_cosigned(&same.checkpoint, &verifier).unwrap());
    assert!(!log.cosign(&mut witness, &mut same).unwrap());
    assert_eq!(witness.asked, 3);
}

#[test]
fn a_witness_that_was_away_is_asked_again_later() {
    let (mut log, mut witness) = (Sealing::new(), Witness::new());
    let mut first = log.seal(1..=10);
    log.cosign(&mut witness, &mut first).unwrap();
    witness.is_away = true;
    for end in [20, 30] {
        let mut missed = log.seal(1..=end);
        let error = log.cosign(&mut witness, &mut missed).unwrap_err();
        assert!(matches!(&error, PublishError::Ask { .. }) && !error.is_contradiction(), "{error}");
    }
    witness.is_away = false;
    // Nothing is new, and what it signed last is not known: it tells.
    let mut same = log.seal([]);
    assert!(log.cosign(&mut witness, &mut same).unwrap());
    assert_eq!((witness.last.map(|last| last.0), witness.asked), (Some(30), 3));
    assert!(is_cosigned(&log.kept(), &witness.key.verifier()).unwrap());
}

#[test]
fn a_witness_refuses_a_log_that_was_set_back_or_made_anew() {
    let (mut log, mut witness) = (Sealing::new(), Witness::new());
    let mut outcome = log.seal(1..=100);
    log.cosign(&mut witness, &mut outcome).unwrap();

    let mut back = Sealing::new();
    let mut outcome = back.seal(1..=50);
    let error = back.cosign(&mut witness, &mut outcome).unwrap_err();
    assert!(matches!(error, PublishError::SetBack { seen: 100, size: 50, .. }), "{error}");

    let mut anew = Sealing::new();
    let mut outcome = anew.seal((1..=200).filter(|id| *id != 17));
    let error = anew.cosign(&mut witness, &mut outcome).unwrap_err();
    assert!(
        matches!(error, PublishError::Refused { status: 422, .. }) && error.is_contradiction(),
        "{error}"
    );
    assert_eq!(anew.kept().note().signatures().len(), 1);
}

#[test]
fn an_answer_that_is_no_cosignature_of_the_witness_is_not_taken() {
    struct Says(u16, String);

    impl Post for Says {
        fn post(&mut self, _: String) -> Result<(u16, Vec<u8>), String> {
            Ok((self.0, self.1.clone().into_bytes()))
        }
    }

    let mut log = Sealing::new();
    let mut outcome = log.seal(1..=10);
    let (witness, head) = (Witness::new().key, outcome.checkpoint.unverified().clone());
    let other = Cosigner::from_seed("example.org/other".parse().unwrap(), &[8; 32]);
    let impostor = Cosigner::from_seed("example.org/witness".parse().unwrap(), &[8; 32]);
    let time = Time::new(1_800_000_000).unwrap();
    let mut later = witness.cosign(time, &head).to_string();
    later.replace_range(later.len() - 8..later.len() - 4, "AAAA");
    for (status, body) in [
        (200, format!("{}\n", other.cosign(time, &head))),
        (200, format!("{}\n", impostor.cosign(time, &head))),
        (200, format!("{later}\n")),
        (200, "ok\n".into()),
        (302, String::new()),
        (403, String::new()),
        (404, String::new()),
        (409, "11\n".into()),
        (409, "5\n".into()),
        (500, String::new()),
    ] {
        let mut says = Says(status, body.clone());
        let answer = cosign(&mut log.log, &mut outcome.checkpoint, &witness.verifier(), 0, &mut says);
        assert!(answer.is_err(), "{status} {body}");
        assert_eq!(log.kept().note().signatures().len(), 1, "{status} {body}");
    }
    assert!(log.folder.path().join("checkpoint").exists());
}
