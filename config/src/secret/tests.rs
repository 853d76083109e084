use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("secrets")).unwrap();
        Self(dir)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.0.path().join(name);
        // A new file each time, as editors and Kubernetes make it.
        let fresh = self.0.path().join("fresh");
        std::fs::write(&fresh, text).unwrap();
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(mode)).unwrap();
        std::fs::rename(&fresh, &path).unwrap();
    }

    fn resolve(&self, text: &str) -> Result<SecretSource, String> {
        let env = BTreeMap::from([
            ("ACME_TOKEN".to_owned(), "from-env".to_owned()),
            ("EMPTY".to_owned(), String::new()),
        ]);
        let scope = SecretScope {
            env: &env,
            variables: Variables::Prefixed("ACME_"),
            files: Files::SecretsOf(self.0.path()),
            literals: false,
        };
        scope.resolve(text, None).map_err(|refused| refused.what)
    }

    fn read(&self, text: &str) -> Result<String, SecretError> {
        self.resolve(text).unwrap().read().map(|secret| secret.expose().to_owned())
    }
}

#[test]
fn a_file_is_read_without_its_last_newline() {
    let folder = Folder::new();
    folder.write("secrets/a", "s3cret\n", 0o600);
    assert_eq!(folder.read("${file:a}").unwrap(), "s3cret");
    std::fs::create_dir(folder.0.path().join("secrets/deep")).unwrap();
    folder.write("secrets/deep/b", "  spaces kept \r\n", 0o400);
    assert_eq!(folder.read("${file:deep/b}").unwrap(), "  spaces kept ");
}

#[test]
fn a_rotated_file_is_seen_by_the_next_read() {
    let folder = Folder::new();
    folder.write("secrets/a", "old", 0o600);
    let source = folder.resolve("${file:a}").unwrap();
    assert_eq!(source.read().unwrap().expose(), "old");
    assert_eq!(source.read().unwrap().expose(), "old");
    folder.write("secrets/a", "new", 0o600);
    assert_eq!(source.read().unwrap().expose(), "new");
    std::fs::remove_file(folder.0.path().join("secrets/a")).unwrap();
    assert!(
        matches!(source.read(), Err(SecretError::Unreadable { .. })),
        "what is gone is not used any more"
    );
    folder.write("secrets/a", "back", 0o600);
    assert_eq!(source.read().unwrap().expose(), "back");
}

#[test]
fn a_file_that_others_can_read_is_refused_also_later() {
    let folder = Folder::new();
    for mode in [0o640, 0o604, 0o660, 0o777] {
        folder.write("secrets/a", "x", mode);
        assert_eq!(
            folder.read("${file:a}"),
            Err(SecretError::Exposed { reference: "${file:a}".to_owned(), mode })
        );
    }
    folder.write("secrets/a", "x", 0o600);
    let source = folder.resolve("${file:a}").unwrap();
    assert!(source.read().is_ok());
    let path = folder.0.path().join("secrets/a");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(source.read(), Err(SecretError::Exposed { .. })));
}

#[test]
fn names_and_links_cannot_leave_the_folder() {
    let folder = Folder::new();
    folder.write("outside", "x", 0o600);
    for name in ["../outside", "/etc/passwd", "a/../../outside", "..", ".", "./a", "a/"] {
        let refused = folder.resolve(&format!("${{file:{name}}}")).unwrap_err();
        assert!(refused.contains("below the folder of secrets"), "{name}: {refused}");
    }
    symlink(folder.0.path().join("outside"), folder.0.path().join("secrets/link")).unwrap();
    assert_eq!(
        folder.read("${file:link}"),
        Err(SecretError::Outside { reference: "${file:link}".to_owned() })
    );
    // A folder outside, by a link in the middle.
    symlink(folder.0.path(), folder.0.path().join("secrets/up")).unwrap();
    assert!(matches!(folder.read("${file:up/outside}"), Err(SecretError::Outside { .. })));
}

#[test]
fn the_folder_of_secrets_itself_may_not_be_a_way_out() {
    let elsewhere = Folder::new();
    elsewhere.write("master.key", "the operator's", 0o600);
    for target in
        [elsewhere.0.path().to_owned(), Path::new("..").join(elsewhere.0.path().file_name().unwrap())]
    {
        let folder = Folder::new();
        std::fs::remove_dir(folder.0.path().join("secrets")).unwrap();
        symlink(&target, folder.0.path().join("secrets")).unwrap();
        assert_eq!(
            folder.read("${file:master.key}"),
            Err(SecretError::Outside { reference: "${file:master.key}".to_owned() }),
            "{target:?}"
        );
        // As a mount of a whole folder makes it.
        std::fs::remove_file(folder.0.path().join("secrets")).unwrap();
        std::fs::create_dir_all(folder.0.path().join("..v1/secrets")).unwrap();
        folder.write("..v1/secrets/token", "one", 0o400);
        symlink("..v1", folder.0.path().join("..data")).unwrap();
        symlink("..data/secrets", folder.0.path().join("secrets")).unwrap();
        assert_eq!(folder.read("${file:token}").unwrap(), "one");
    }
}

#[test]
fn links_that_lead_round_in_a_circle_end() {
    let folder = Folder::new();
    symlink("b", folder.0.path().join("secrets/a")).unwrap();
    symlink("a", folder.0.path().join("secrets/b")).unwrap();
    assert!(matches!(folder.read("${file:a}"), Err(SecretError::Unreadable { .. })));
    // Where an outside link leads to nothing, nobody learns that.
    symlink("/nowhere/at/all", folder.0.path().join("secrets/c")).unwrap();
    assert!(matches!(folder.read("${file:c}"), Err(SecretError::Outside { .. })));
    symlink("d/../../x", folder.0.path().join("secrets/up")).unwrap();
    std::fs::create_dir(folder.0.path().join("secrets/d")).unwrap();
    assert!(matches!(folder.read("${file:up}"), Err(SecretError::Outside { .. })));
}

#[test]
fn a_queue_does_not_make_anybody_wait() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let folder = Folder::new();
    let queue = folder.0.path().join("secrets/queue");
    mknodat(CWD, &queue, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let sources = [folder.resolve("${file:queue}").unwrap(), SecretSource::from_file(&queue)];
    std::thread::spawn(move || sources.iter().for_each(|source| tell.send(source.read()).unwrap()));
    for _ in 0..2 {
        let read =
            told.recv_timeout(std::time::Duration::from_secs(10)).expect("it does not wait for a writer");
        assert!(matches!(read, Err(SecretError::Unusable { what: "is not a file", .. })), "{read:?}");
    }
}

/// A folder and a link out of the folder of secrets change places all the time.
#[cfg(target_os = "linux")]
#[test]
fn a_link_that_is_put_there_meanwhile_leads_nowhere() {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use std::sync::atomic::{AtomicBool, Ordering};
    let folder = Folder::new();
    let at = |name: &str| folder.0.path().join(name);
    std::fs::create_dir(at("outside")).unwrap();
    std::fs::create_dir(at("secrets/d")).unwrap();
    folder.write("secrets/d/t", "inside", 0o600);
    folder.write("outside/t", "outside", 0o600);
    symlink(at("outside"), at("secrets/l")).unwrap();
    let (d, l) = (at("secrets/d"), at("secrets/l"));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                renameat_with(CWD, &d, CWD, &l, RenameFlags::EXCHANGE).unwrap();
            }
        });
        // A source of its own each time: nothing is remembered.
        let got: Vec<_> = (0..10_000).filter_map(|_| folder.read("${file:d/t}").ok()).collect();
        done.store(true, Ordering::Relaxed);
        assert!(!got.is_empty() && got.iter().all(|value| value == "inside"));
    });
}

#[test]
fn links_inside_work_as_kubernetes_makes_them() {
    let folder = Folder::new();
    let at = |name: &str| folder.0.path().join("secrets").join(name);
    for (version, value) in [("..v1", "one"), ("..v2", "two")] {
        std::fs::create_dir(at(version)).unwrap();
        folder.write(&format!("secrets/{version}/token"), value, 0o400);
    }
    symlink("..v1", at("..data")).unwrap();
    symlink("..data/token", at("token")).unwrap();
    let source = folder.resolve("${file:token}").unwrap();
    assert_eq!(source.read().unwrap().expose(), "one");
    symlink("..v2", at("..next")).unwrap();
    std::fs::rename(at("..next"), at("..data")).unwrap();
    assert_eq!(source.read().unwrap().expose(), "two");
}

#[test]
fn what_is_no_secret_is_refused() {
    let folder = Folder::new();
    for (text, what) in [("", "is empty"), ("\n", "is empty"), ("a\0b", "holds a NUL byte")] {
        folder.write("secrets/a", text, 0o600);
        assert_eq!(
            folder.read("${file:a}"),
            Err(SecretError::Unusable { reference: "${file:a}".to_owned(), what })
        );
    }
    folder.write("secrets/a", &"x".repeat(70_000), 0o600);
    assert!(matches!(folder.read("${file:a}"), Err(SecretError::Unusable { .. })));
    std::fs::create_dir(folder.0.path().join("secrets/dir")).unwrap();
    assert!(matches!(folder.read("${file:dir}"), Err(SecretError::Unusable { what: "is not a file", .. })));
}

#[test]
fn variables_are_open_by_prefix_only() {
    let folder = Folder::new();
    assert_eq!(folder.read("${env:ACME_TOKEN}").unwrap(), "from-env");
    assert_eq!(folder.resolve("${env:HOME}").unwrap_err(), "${env:HOME} is not open to this organisation");
    assert_eq!(folder.resolve("${env:ACME_OTHER}").unwrap_err(), "the variable ACME_OTHER is not set");
    let env = BTreeMap::from([("ACME_TOKEN".to_owned(), "x".to_owned())]);
    let none = SecretScope {
        env: &env,
        variables: Variables::None,
        files: Files::From(Path::new("")),
        literals: false,
    };
    assert!(none.resolve("${env:ACME_TOKEN}", None).is_err());
}

#[test]
fn literals_need_the_development_flag_or_come_from_a_variable() {
    let env = BTreeMap::new();
    let mut scope = SecretScope {
        env: &env,
        variables: Variables::Any,
        files: Files::From(Path::new("")),
        literals: false,
    };
    let refused = scope.resolve("hunter2", None).map_err(|refused| refused.what + &refused.hint).unwrap_err();
    assert!(!refused.contains("hunter2"), "{refused}");
    let source = scope.resolve("hunter2", Some("TRAILWIRE__ADMIN__TOKEN")).map_err(|r| r.what).unwrap();
    assert_eq!(
        (source.read().unwrap().expose(), source.shown()),
        ("hunter2", "${env:TRAILWIRE__ADMIN__TOKEN}")
    );
    scope.literals = true;
    assert!(scope.resolve("hunter2", None).is_ok());
    for bad in [
        "${env:A}x",
        "x${env:A}",
        "${env:A}${env:B}",
        "${}",
        "${env:}",
        "${vault:a}",
        "${env:A-B}",
        "${file:a\n}",
        "${env:A",
    ] {
        assert!(scope.resolve(bad, None).is_err(), "{bad}");
    }
}

#[test]
fn nothing_prints_a_secret() {
    let secret = Secret::new("hunter2".to_owned());
    let source = SecretSource::from_value(secret.clone());
    let reference = SecretRef("hunter2".to_owned());
    let hash = crate::TokenHash::of("hunter2");
    let shown = format!("{secret:?} {source:?} {reference:?} {hash:?} {:#?}", (&secret, &source, &reference));
    assert!(!shown.contains("hunter2") && shown.contains("redacted"), "{shown}");
}
