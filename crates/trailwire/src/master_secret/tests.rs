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
