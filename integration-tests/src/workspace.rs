//! A folder with the configuration of a small installation: two organisations with a sink each, and a shared sink.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Two organisations, so that every end-to-end test can see whether one's record reaches the other.
pub const ORGS: [(&str, &str); 2] =
    [("acme", "84383462-b484-4cc4-bb21-ef2ecb49a2b1"), ("borealis", "b15de681-febb-4238-90d1-81da410264e9")];
/// The token of the shared sink.
pub const SHARED_TOKEN: &str = "11111111-0000-4000-8000-00000000feed";
/// The producer's token.
pub const PRODUCER_TOKEN: &str = "test-producer-token-0123456789";

/// The HEC token of an organisation's own sink.
#[must_use]
pub fn token(org: &str) -> String {
    format!("22222222-0000-4000-8000-{:0>12}", org.len())
}

/// A folder that is removed with the value.
#[derive(Debug)]
pub struct Workspace {
    folder: tempfile::TempDir,
}

/// What a test may want different.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Lines at the top level of trailwire.yaml.
    pub operator: String,
    /// Lines under every sink.
    pub sink: String,
    /// Without the sink of the operator.
    pub no_shared: bool,
}

impl Workspace {
    /// Writes the files; sinks send to `receiver` (`http://127.0.0.1:port`).
    #[must_use]
    pub fn new(receiver: &str, options: &Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let operator = format!(
            "version: 1\ndata_dir: data\nlisten: {{ingest: 127.0.0.1:0, admin: 127.0.0.1:0}}\n\
             producers:\n  test: {{token: \"${{env:TEST_PRODUCER_TOKEN}}\", orgs: \"*\", kinds: \"*\"}}\n\
             orgs_dir: orgs.d\negress: {{allow: [{{cidr: 127.0.0.0/8, plaintext: true}}]}}\n{}\n",
            options.operator
        );
        fs::write(root.join("trailwire.yaml"), operator).unwrap();
        for (name, id) in ORGS {
            let org = root.join("orgs.d").join(name);
            fs::create_dir_all(org.join("secrets")).unwrap();
            fs::write(org.join("org.yaml"), format!("version: 1\nid: {id}\nname: {name}\n")).unwrap();
            secret(&org.join("secrets/hec-token"), &token(name));
            fs::write(org.join("sinks.yaml"), sinks(receiver, "${file:hec-token}", "own", &options.sink))
                .unwrap();
        }
        if !options.no_shared {
            secret(&root.join("shared-token"), SHARED_TOKEN);
            let text = sinks(
                receiver,
                "${file:shared-token}",
                "everything",
                &format!("    orgs: \"*\"\n{}", options.sink),
            );
            fs::write(root.join("shared_sinks.yaml"), text).unwrap();
        }
        Self { folder }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Rewrites the sinks of an organisation: its one sink `own` sends to `receiver`, with `more` lines.
    pub fn set_sink(&self, org: &str, receiver: &str, more: &str) {
        self.write_sinks(org, &sinks(receiver, "${file:hec-token}", "own", more));
    }

    /// Rewrites the file of an organisation's sinks.
    pub fn write_sinks(&self, org: &str, text: &str) {
        let folder = self.folder.path().join("orgs.d").join(org);
        // As an editor or a deployment does it: nobody reads half a file.
        let fresh = folder.join("sinks.yaml.new");
        fs::write(&fresh, text).unwrap();
        fs::rename(&fresh, folder.join("sinks.yaml")).unwrap();
    }

    /// Writes a secret of an organisation; the sink `own` uses `hec-token`.
    pub fn set_secret(&self, org: &str, name: &str, value: &str) {
        let folder = self.folder.path().join("orgs.d").join(org).join("secrets");
        let fresh = folder.join(format!("{name}.new"));
        secret(&fresh, value);
        fs::rename(&fresh, folder.join(name)).unwrap();
    }

    /// The journal's folder.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.folder.path().join("data/journal")
    }

    /// Where the daemon's own log lines go.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.folder.path().join("daemon.log")
    }

    /// The daemon's own log lines.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("trailwire.yaml")
    }
}

/// A file with one sink.
#[must_use]
pub fn sinks(receiver: &str, token: &str, name: &str, more: &str) -> String {
    format!(
        "version: 1\nsinks:\n  {name}:\n    type: splunk_hec\n    endpoint: {receiver}\n    token: {token}\n    index: app_calls\n{more}"
    )
}

fn secret(path: &Path, value: &str) {
    fs::write(path, value).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
