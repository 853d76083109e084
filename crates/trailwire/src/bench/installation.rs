//! The configuration that a bench or the demo runs with.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The variable that holds the producer's token.
pub(crate) const PRODUCER_VARIABLE: &str = "TRAILWIRE_BENCH_TOKEN";
/// The token of the shared sink.
pub(crate) const SHARED_TOKEN: &str = "11111111-0000-4000-8000-000000000001";

/// Who gets what.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sinks<'a> {
    /// No sink at all.
    None,
    /// One HEC sink of the operator for all organisations.
    Shared,
    /// Each of these organisations has one HEC sink of its own; its token is the organisation's id.
    PerOrg(&'a [OrgSink]),
    /// One of the operator, and one for each of these organisations.
    Both(&'a [OrgSink]),
}

/// An organisation with a sink of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrgSink {
    /// The organisation's id.
    pub(crate) id: String,
    /// Its name, good for a folder.
    pub(crate) name: String,
}

/// A folder with a configuration.
#[derive(Debug)]
pub(crate) struct Installation {
    folder: PathBuf,
}

impl Installation {
    /// Writes the files below `folder`; sinks send to `receiver`. `more` is added to the operator's file.
    pub(crate) fn write(folder: &Path, receiver: &str, sinks: Sinks<'_>, more: &str) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        let operator = format!(
            "version: 1\n\
             data_dir: data\n\
             listen: {{ingest: 127.0.0.1:0, admin: 127.0.0.1:0}}\n\
             producers:\n  gateway: {{token: \"${{env:{PRODUCER_VARIABLE}}}\", orgs: \"*\", kinds: \"*\"}}\n\
             orgs_dir: orgs.d\n\
             egress: {{allow: [{{cidr: 127.0.0.0/8, plaintext: true}}]}}\n{more}"
        );
        write(&folder.join("trailwire.yaml"), &operator, 0o644)?;
        let (shared, own) = match sinks {
            Sinks::None => (false, &[][..]),
            Sinks::Shared => (true, &[][..]),
            Sinks::PerOrg(own) => (false, own),
            Sinks::Both(own) => (true, own),
        };
        if shared {
            write(&folder.join("shared-token"), SHARED_TOKEN, 0o600)?;
            let text = hec_sink("everything", receiver, "${file:shared-token}", "    orgs: \"*\"\n");
            write(&folder.join("shared_sinks.yaml"), &text, 0o644)?;
        }
        for OrgSink { id, name } in own {
            let home = folder.join("orgs.d").join(name);
            fs::create_dir_all(home.join("secrets"))
                .with_context(|| format!("creating {}", home.display()))?;
            write(&home.join("org.yaml"), &format!("version: 1\nid: {id}\nname: {name}\n"), 0o644)?;
            write(&home.join("secrets/hec-token"), id, 0o600)?;
            write(&home.join("sinks.yaml"), &hec_sink("soc", receiver, "${file:hec-token}", ""), 0o644)?;
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// An organisation's sink for each of these ids.
    pub(crate) fn org_sinks<'a>(ids: impl IntoIterator<Item = &'a str>) -> Vec<OrgSink> {
        let numbered = ids.into_iter().enumerate();
        numbered.map(|(number, id)| OrgSink { id: id.to_owned(), name: format!("org-{number:05}") }).collect()
    }

    /// The operator's file.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.join("trailwire.yaml")
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

fn hec_sink(name: &str, receiver: &str, token: &str, more: &str) -> String {
    format!(
        "version: 1\nsinks:\n  {name}:\n    type: splunk_hec\n    endpoint: {receiver}\n    token: {token}\n    index: app_calls\n{more}"
    )
}

fn write(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests;
