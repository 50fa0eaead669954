use super::*;

fn key(n: u64) -> Key {
    Key::of(&["session", &n.to_string()])
}

#[test]
fn a_call_ends_once_and_the_first_that_began_ends_first() {
    let folder = tempfile::tempdir().unwrap();
    Recent::open(folder.path()).begin(key(1), 1000);
    Recent::open(folder.path()).begin(key(1), 1500);
    let mut recent = Recent::open(folder.path());
    assert_eq!(recent.end(key(2), 2000), None);
    assert_eq!(recent.end(key(1), 2000), Some(1000));
    assert_eq!(recent.end(key(1), 2000), Some(1500));
    assert_eq!(recent.end(key(1), 2000), None);
}

#[test]
fn a_call_is_recorded_by_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut recent = Recent::open(folder.path());
    assert_eq!(recent.claim(key(1), 1000), Claim::Mine);
    recent.release(key(1));
    assert_eq!(recent.claim(key(1), 1000), Claim::Mine);
    recent.recorded(key(1), 1000);
    assert_eq!(Recent::open(folder.path()).claim(key(1), 1000), Claim::Recorded);
    assert_eq!(recent.claim(key(2), 1000), Claim::Mine);
}

#[test]
fn a_call_that_a_killed_process_was_to_record_is_recorded_by_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut recent = Recent::open(folder.path());
    let mut killed = process::Command::new("true").spawn().unwrap();
    killed.wait().unwrap();
    let slot = Slot { process: killed.id(), ..Slot::new(key(1), 1000, State::Recording) };
    recent.change(key(1), |bucket| put(bucket, slot, 1000)).unwrap();
    let start = Instant::now();
    assert_eq!(recent.claim(key(1), 1000), Claim::Mine);
    assert!(start.elapsed() < RECORDING_WAIT);
}

#[test]
fn the_file_stays_small_and_forgets_what_is_old_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut recent = Recent::open(folder.path());
    recent.begin(key(0), 1000);
    for n in 1..20_000 {
        assert_eq!(recent.claim(key(n), 1000 + n), Claim::Mine);
        recent.recorded(key(n), 1000 + n);
    }
    assert!(fs::metadata(folder.path().join(NAME)).unwrap().len() <= SIZE);
    assert_eq!(recent.end(key(0), 30_000), Some(1000), "what is recorded goes before what has not ended");
    assert_eq!(recent.claim(key(19_999), 30_000), Claim::Recorded);
    recent.begin(key(5), 1000);
    assert_eq!(recent.end(key(5), 1000 + OLD), None);
    assert_eq!(recent.claim(key(19_999), 30_000 + OLD), Claim::Mine);
}

#[test]
fn an_identifier_that_is_used_for_another_call_is_another_call() {
    let folder = tempfile::tempdir().unwrap();
    let mut recent = Recent::open(folder.path());
    let (one, other) = (key(1).with_contents(&["ls"]), key(1).with_contents(&["rm"]));
    recent.recorded(one, 1000);
    assert_eq!(recent.claim(one, 1000), Claim::Recorded);
    assert_eq!(
        recent.claim(key(1), 1000),
        Claim::Recorded,
        "who does not know the contents cannot tell them apart"
    );
    assert_eq!(recent.claim(other, 1000), Claim::Mine);
}

#[test]
fn each_event_of_a_hook_stands_for_one_log_record_with_its_identifier() {
    let folder = tempfile::tempdir().unwrap();
    let mut recent = Recent::open(folder.path());
    let hook = |command| key(1).with_contents(&["Bash", "call", command]);
    let log = |time| key(1).with_contents(&["shell", time]);
    recent.recorded(hook("ls"), 1000);
    assert_eq!(recent.claim_told(log("1"), 1001), Claim::Recorded);
    assert_eq!(recent.claim_told(log("1"), 1002), Claim::Recorded, "it is sent again");
    assert_eq!(recent.claim_told(log("2"), 1003), Claim::Mine);
    recent.recorded_told(log("2"), 1003);
    assert_eq!(recent.claim(hook("rm"), 1004), Claim::Recorded, "the log record was first");
    assert_eq!(Recent::open(folder.path()).claim_told(log("2"), 1005), Claim::Recorded);
    assert_eq!(recent.claim_told(log("3"), 1006), Claim::Mine);
    recent.release_told(log("3"));
    assert_eq!(recent.claim_told(log("3"), 1007), Claim::Mine);
}

#[test]
fn where_nothing_is_remembered_every_call_is_new() {
    let mut recent = Recent::none();
    recent.begin(key(1), 1000);
    recent.recorded(key(1), 1000);
    assert_eq!((recent.end(key(1), 1001), recent.claim(key(1), 1001)), (None, Claim::Mine));
    assert_eq!(recent.claim_told(key(1), 1001), Claim::Mine);
}

#[cfg(unix)]
#[test]
fn a_link_leads_nowhere_and_a_large_file_is_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join(NAME), folder.path().join("other"));
    fs::write(&other, "kept").unwrap();
    std::os::unix::fs::symlink(&other, &path).unwrap();
    Recent::open(folder.path()).recorded(key(1), 1000);
    assert_eq!(fs::read(&other).unwrap(), b"kept");
    fs::remove_file(&path).unwrap();
    let large = vec![b'x'; usize::try_from(SIZE).unwrap() + 1];
    fs::write(&path, &large).unwrap();
    Recent::open(folder.path()).recorded(key(1), 1000);
    assert_eq!(fs::read(&path).unwrap(), large);
}

#[test]
fn garbage_and_a_folder_that_cannot_be_used_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(NAME), [0xAB; 300]).unwrap();
    let mut recent = Recent::open(folder.path());
    assert_eq!(recent.claim(key(1), 1000), Claim::Mine);
    let mut nowhere = Recent::open(&folder.path().join(NAME));
    nowhere.begin(key(1), 1000);
    assert_eq!((nowhere.end(key(1), 1000), nowhere.claim(key(1), 1000)), (None, Claim::Mine));
}
