//! Files with private keys.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use audit_evidence::key::{KeyFileError, generate, read};

#[test]
fn a_key_is_for_its_owner_alone_and_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seal.key");
    let made = generate("example.com/audit".parse().unwrap(), &path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(read(&path).unwrap().verifier(), made.verifier());
    let other = generate("example.com/audit".parse().unwrap(), &folder.path().join("other.key")).unwrap();
    assert_ne!(other.verifier(), made.verifier());

    let again = generate("example.com/audit".parse().unwrap(), &path).unwrap_err();
    assert!(matches!(again, KeyFileError::Exists { .. }), "{again}");
    assert_eq!(read(&path).unwrap().verifier(), made.verifier());
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seal.key");
    generate("example.com/audit".parse().unwrap(), &path).unwrap();
    for (mode, is_accepted) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false)]
    {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let found = read(&path);
        assert_eq!(found.is_ok(), is_accepted, "{mode:o}");
        if let Err(error) = found {
            assert!(error.to_string().contains("accepted are 0600 and 0400"), "{error}");
        }
    }
}

#[test]
fn no_message_shows_what_is_in_a_file_that_has_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seal.key");
    fs::write(&path, "PRIVATE+KEY+secret").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let error = read(&path).unwrap_err().to_string();
    assert!(error.contains("not a private key") && !error.contains("secret"), "{error}");
}
