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
