//! `trailwire journal verify`: reads everything and changes nothing.

use std::path::Path;

use flow::units::PartitionId;
use serde::Serialize;

use crate::damage::Damage;
use crate::deep::{Deep, deep};
use crate::journal::OpenError;
use crate::manifest::Manifest;
use crate::segment_header::Sort;
use crate::shared::{partition_name, segment_label};
use crate::survey::Content;
use crate::vfs::Vfs;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Normal after a crash: the next start puts it in order by itself.
    Note,
    /// Not as it should be, and nothing is lost; `repair` puts it in order.
    Warning,
    /// Something that was durable cannot be read.
    Damage,
}

/// Something worth saying about a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The file, from the journal's folder.
    pub file: String,
    /// What it is.
    pub text: String,
    /// The damage, when it is some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<Damage>,
}

/// Reads every byte of the journal in `dir` and tells what is not as it should be. It takes no lock: beside a running
/// process the newest blocks may show as a torn tail.
///
/// # Errors
/// [`OpenError`] when it cannot be read at all; damage is no error here.
pub fn verify(vfs: &dyn Vfs, dir: &Path) -> Result<Vec<Finding>, OpenError> {
    let manifest = manifest_of(vfs, dir)?;
    let mut findings = Vec::new();
    for partition in (0..manifest.partitions).map(PartitionId) {
        let found = deep(vfs, dir, partition, manifest.log)?;
        tell(partition, &found, &mut findings);
    }
    Ok(findings)
}

pub(crate) fn manifest_of(vfs: &dyn Vfs, dir: &Path) -> Result<Manifest, OpenError> {
    let missing = || OpenError::Incomplete(format!("{}: there is no journal", dir.display()));
    Manifest::read(vfs, dir)?.ok_or_else(missing)
}

fn tell(partition: PartitionId, found: &Deep, findings: &mut Vec<Finding>) {
    for damage in &found.damages {
        findings.push(Finding {
            severity: Severity::Damage,
            file: damage.file.clone(),
            text: damage.to_string(),
            damage: Some(damage.clone()),
        });
    }
    let mut say = |severity, file: String, text: String| {
        findings.push(Finding { severity, file, text, damage: None });
    };
    for (segment, bad_footer) in found.survey.segments.iter().zip(&found.bad_footers) {
        let file = segment_label(partition, segment.header.base);
        if let Some(fault) = bad_footer {
            say(
                Severity::Warning,
                file.clone(),
                format!("footer: {fault}; it can be rebuilt from the blocks"),
            );
        }
        if let Content::Scanned(scanned) = &segment.content {
            if scanned.torn > 0 {
                let text = format!("{} bytes of a torn tail, which the next start cuts", scanned.torn);
                say(Severity::Note, file.clone(), text);
            }
            let newest =
                found.survey.segments.last().is_some_and(|last| last.header.base == segment.header.base);
            if !newest || matches!(segment.header.sort, Sort::Recovered(_)) {
                say(Severity::Warning, file, "no usable footer; the next start rebuilds it".to_owned());
            }
        }
    }
    for name in &found.survey.leftovers {
        let file = format!("{}/{name}", partition_name(partition));
        say(Severity::Note, file, "left by a step that did not finish; the next start removes it".to_owned());
    }
    for loss in &found.survey.state.losses {
        let text = format!(
            "rows {} to {} were declared lost: {}",
            loss.first_row,
            loss.end_row.saturating_sub(1).max(loss.first_row),
            loss.detail
        );
        say(Severity::Note, format!("{}/state.json", partition_name(partition)), text);
    }
}
