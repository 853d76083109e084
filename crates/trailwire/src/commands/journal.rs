//! `trailwire journal inspect|verify|repair`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use flow::clock::Clock;
use journal::vfs::{OsVfs, Vfs};
use journal::{InspectReport, RepairSummary};
use serde::Serialize;

use crate::cli::{Exit, JournalCommand};

/// Runs one of them.
///
/// # Errors
/// When the folder cannot be read or the journal is in use.
pub fn run(command: &JournalCommand) -> anyhow::Result<Exit> {
    match command {
        JournalCommand::Inspect { folder, totals, json } => inspect(folder, *totals, *json),
        JournalCommand::Verify { folder, json } => verify(folder, *json),
        JournalCommand::Repair { folder, accept_loss, json } => repair(folder, *accept_loss, *json),
    }
}

#[derive(Debug, Default, Serialize)]
struct Totals {
    records: u64,
    orgs: BTreeMap<String, u64>,
    apps: BTreeMap<String, u64>,
    kinds: BTreeMap<String, u64>,
    status_classes: BTreeMap<String, u64>,
}

fn inspect(folder: &Path, totals: bool, json: bool) -> anyhow::Result<Exit> {
    let report = journal::inspect(&OsVfs, folder)?;
    let counted = if totals { Some(count(folder)?) } else { None };
    if json {
        println!("{}", serde_json::json!({"journal": report, "totals": counted}));
        return Ok(Exit::Success);
    }
    print_report(&report);
    if let Some(totals) = counted {
        println!("{} records", totals.records);
        for (title, table) in [
            ("organisation", &totals.orgs),
            ("app", &totals.apps),
            ("kind", &totals.kinds),
            ("status class", &totals.status_classes),
        ] {
            println!("\n{title:<44} records");
            for (name, count) in table {
                println!("{name:<44} {count:>7}");
            }
        }
    }
    Ok(Exit::Success)
}

/// The members that are counted; everything else of a record is passed over.
#[derive(serde::Deserialize)]
struct Facts<'a> {
    org_id: &'a str,
    kind: &'a str,
    #[serde(borrow, default)]
    app: Option<App<'a>>,
    #[serde(default)]
    response: Option<Response>,
}

#[derive(serde::Deserialize)]
struct App<'a> {
    #[serde(borrow)]
    key: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<std::borrow::Cow<'a, str>>,
}

#[derive(serde::Deserialize)]
struct Response {
    status: Option<u16>,
}

fn count(folder: &Path) -> anyhow::Result<Totals> {
    let mut totals = Totals::default();
    let mut unreadable = 0u64;
    journal::visit_records(&OsVfs, folder, &mut |view| {
        let Ok(facts) = serde_json::from_slice::<Facts<'_>>(view.record) else {
            unreadable += 1;
            return;
        };
        totals.records += 1;
        *totals.orgs.entry(facts.org_id.to_owned()).or_default() += 1;
        *totals.kinds.entry(facts.kind.to_owned()).or_default() += 1;
        let app = facts.app.and_then(|app| app.key.or(app.id));
        *totals.apps.entry(app.map_or_else(|| "(none)".to_owned(), |app| app.into_owned())).or_default() += 1;
        if let Some(status) = facts.response.and_then(|response| response.status) {
            *totals.status_classes.entry(format!("{}xx", status / 100)).or_default() += 1;
        }
    })?;
    anyhow::ensure!(unreadable == 0, "{unreadable} records are no JSON of ours: written by a broken program");
    Ok(totals)
}

fn verify(folder: &Path, json: bool) -> anyhow::Result<Exit> {
    let findings = journal::verify(&OsVfs, folder)?;
    if json {
        println!("{}", serde_json::json!({"findings": findings}));
    } else if findings.is_empty() {
        println!("{}: every checksum and number is right", folder.display());
    } else {
        for finding in &findings {
            println!("{}: {}", finding.file, finding.text);
        }
        println!(
            "\n{} findings. `trailwire journal repair {}` shows what giving them up would lose.",
            findings.len(),
            folder.display()
        );
    }
    Ok(if findings.is_empty() { Exit::Success } else { Exit::Damaged })
}

fn repair(folder: &Path, accept_loss: bool, json: bool) -> anyhow::Result<Exit> {
    let vfs: Arc<dyn Vfs> = Arc::new(OsVfs);
    let summary = journal::repair(&vfs, folder, accept_loss, Clock::system().now().wall)?;
    if json {
        println!("{}", serde_json::json!(summary));
    } else {
        print_summary(&summary, accept_loss);
    }
    Ok(Exit::Success)
}

fn print_report(report: &InspectReport) {
    println!("journal {} (format {}), {} partitions", report.log_id, report.format, report.partitions.len());
    println!(
        "{:>9} {:>10} {:>10} {:>9} {:>8} {:>14} {:>6}",
        "partition", "oldest row", "next row", "segments", "orgs", "bytes", "damage"
    );
    for partition in &report.partitions {
        println!(
            "{:>9} {:>10} {:>10} {:>9} {:>8} {:>14} {:>6}",
            partition.partition,
            partition.oldest_row,
            partition.next_row,
            partition.segments.len(),
            partition.orgs.len(),
            partition.bytes,
            partition.damages.len()
        );
    }
    for partition in &report.partitions {
        for damage in &partition.damages {
            println!("{damage}");
        }
        for loss in &partition.losses {
            let rows = loss.rows();
            println!(
                "partition {}: rows {} to {} were declared lost",
                partition.partition, rows.start, rows.end
            );
        }
    }
}

fn print_summary(summary: &RepairSummary, accept_loss: bool) {
    for damage in &summary.losses {
        println!("{}: {damage}", if summary.changed { "declared lost" } else { "would be lost" });
    }
    for line in &summary.mended {
        println!("mended: {line}");
    }
    for line in &summary.kept {
        println!("kept a copy: {line}");
    }
    for line in &summary.warnings {
        println!("warning: {line}");
    }
    if summary.losses.is_empty() && summary.mended.is_empty() {
        println!("There is nothing to repair.");
    } else if !summary.changed && !accept_loss {
        println!(
            "Nothing was changed. Add --accept-loss to give this up; every sink is then told of the gap."
        );
    }
}
