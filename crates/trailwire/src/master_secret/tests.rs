use super::*;

#[test]
fn it_is_made_once_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let first = load(folder.path(), None, false).unwrap();
    assert_eq!(load(folder.path(), None, true).unwrap(), first);
    let mode = fs::metadata(folder.path().join("master.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn it_is_never_made_beside_a_journal() {
    let folder = tempfile::tempdir().unwrap();
    let error = load(folder.path(), None, true).unwrap_err().to_string();
    assert!(error.contains("missing beside a journal"), "{error}");
}

#[test]
fn a_readable_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    load(folder.path(), None, false).unwrap();
    let path = folder.path().join("master.key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(load(folder.path(), None, true).is_err());
}

#[test]
fn another_secret_beside_a_journal_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let (one, other) = ([1; LEN], [2; LEN]);
    check(path, &one, false).unwrap();
    check(path, &one, true).unwrap();
    let error = check(path, &other, true).unwrap_err().to_string();
    assert!(error.contains("not the one that the journal"), "{error}");
    check(path, &one, true).unwrap();
    let noted = fs::read_to_string(path.join("master.check")).unwrap();
    assert!(!error.contains(noted.trim()) && !noted.contains(&hex::encode(one)), "{error}");
    // Without a journal any secret is as good.
    check(path, &other, false).unwrap();
    check(path, &other, true).unwrap();
    assert!(check(path, &one, true).is_err());
}

#[test]
fn a_journal_without_a_note_gets_one() {
    let folder = tempfile::tempdir().unwrap();
    check(folder.path(), &[1; LEN], true).unwrap();
    check(folder.path(), &[1; LEN], true).unwrap();
    assert!(check(folder.path(), &[2; LEN], true).is_err());
    fs::write(folder.path().join("master.check"), "half").unwrap();
    assert!(check(folder.path(), &[1; LEN], true).is_err(), "what cannot be compared is no match");
}
