//! Places at which the crash tests let the process die or an operation fail. Only in builds with the feature
//! `failpoints`.
//!
//! `TRAILWIRE_KILL_AT=name:count` kills the process with SIGKILL at the `count`-th hit of that point;
//! `TRAILWIRE_KILL_AS=power_cut` takes back before that what the journal wrote and did not sync.
//! `TRAILWIRE_FAIL_AT=name:count` lets the operation at a point of the journal fail at its `count`-th hit, and only then.
//! `TRAILWIRE_KILL_LOG=FILE` receives `passed NAME COUNT` at the first, second, fourth… hit of every point, so that a
//! test can tell which were never reached, and `killed_at MS NAME` at a kill.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use journal::vfs::{LossyVfs, OsVfs, Vfs};

/// The disk under the journal, when the process is to die as in a power cut. Fail points are global as well.
static DISK: OnceLock<Arc<LossyVfs>> = OnceLock::new();

/// Every point of the product.
pub fn names() -> impl Iterator<Item = &'static str> {
    [flow::FAIL_POINTS, journal::failpoint::ALL, api::FAIL_POINTS, crate::master_secret::FAIL_POINTS]
        .into_iter()
        .flatten()
        .copied()
}

/// The file system for the journal.
#[must_use]
pub fn disk() -> Arc<dyn Vfs> {
    match DISK.get() {
        Some(disk) => Arc::<LossyVfs>::clone(disk),
        None => Arc::new(OsVfs),
    }
}

/// A point and one of its hits.
fn place(environment: &BTreeMap<String, String>, variable: &str) -> anyhow::Result<Option<(String, u64)>> {
    let Some(text) = environment.get(variable) else { return Ok(None) };
    let (name, count) = text.rsplit_once(':').ok_or_else(|| anyhow::anyhow!("{variable}=name:count"))?;
    anyhow::ensure!(names().any(|known| known == name), "there is no fail point `{name}`");
    Ok(Some((name.to_owned(), count.parse()?)))
}

/// Arms the points.
///
/// # Errors
/// When the variables cannot be read.
pub fn arm(environment: &BTreeMap<String, String>) -> anyhow::Result<()> {
    let log = environment.get("TRAILWIRE_KILL_LOG").map(PathBuf::from);
    let target = place(environment, "TRAILWIRE_KILL_AT")?;
    match environment.get("TRAILWIRE_KILL_AS").map(String::as_str) {
        None => {}
        Some("power_cut") => {
            DISK.get_or_init(Arc::default);
        }
        Some(other) => anyhow::bail!("TRAILWIRE_KILL_AS={other}: only power_cut is known"),
    }
    if target.is_some() || log.is_some() {
        for name in names() {
            let wanted = target.as_ref().filter(|(wanted, _)| wanted == name).map(|(_, at)| *at);
            let (hits, log) = (AtomicU64::new(0), log.clone());
            let hit = move || {
                let count = hits.fetch_add(1, Ordering::SeqCst) + 1;
                if wanted == Some(count) {
                    die(name, count, log.as_ref());
                }
                if count.is_power_of_two() {
                    note(log.as_ref(), format_args!("passed {name} {count}"));
                }
            };
            fail::cfg_callback(name, hit).map_err(|error| anyhow::anyhow!("arming {name}: {error}"))?;
        }
    }
    if let Some((name, at)) = place(environment, "TRAILWIRE_FAIL_AT")? {
        let before = at.saturating_sub(1);
        fail::cfg(name.as_str(), &format!("{before}*off->1*return->off"))
            .map_err(|error| anyhow::anyhow!("arming {name}: {error}"))?;
    }
    Ok(())
}

/// A line that cannot be written is a point that counts as not reached.
fn note(log: Option<&PathBuf>, line: std::fmt::Arguments<'_>) {
    if let Some(mut file) = log.and_then(|path| OpenOptions::new().create(true).append(true).open(path).ok())
    {
        // One write, so that lines of several threads do not mix.
        drop(file.write_all(format!("{line}\n").as_bytes()));
    }
}

fn die(name: &str, count: u64, log: Option<&PathBuf>) -> ! {
    if let Some(disk) = DISK.get() {
        disk.cut(&mut rand::random);
    }
    note(log, format_args!("passed {name} {count}"));
    note(log, format_args!("killed_at {} {name}", flow::clock::Clock::system().now().wall.0));
    if let Err(error) =
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
    {
        eprintln!("no SIGKILL ({error}): aborting instead");
    }
    std::process::abort()
}
