//! Places at which the crash tests let the process die. Only in builds with the feature `failpoints`.
//!
//! `TRAILWIRE_KILL_AT=name:count` kills the process with SIGKILL at the `count`-th hit of that point;
//! `TRAILWIRE_KILL_LOG=FILE` receives, at a kill, its time (`killed_at MS`) and one line per point with the hit count, so
//! that a test can tell which points were never reached.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Every point of the product.
pub fn names() -> impl Iterator<Item = &'static str> {
    [flow::FAIL_POINTS, journal::failpoint::ALL, api::FAIL_POINTS].into_iter().flatten().copied()
}

/// Arms the points.
///
/// # Errors
/// When the variables cannot be read.
pub fn arm(environment: &BTreeMap<String, String>) -> anyhow::Result<()> {
    let log = environment.get("TRAILWIRE_KILL_LOG").map(PathBuf::from);
    let target = match environment.get("TRAILWIRE_KILL_AT") {
        None => None,
        Some(text) => {
            let (name, count) =
                text.rsplit_once(':').ok_or_else(|| anyhow::anyhow!("TRAILWIRE_KILL_AT=name:count"))?;
            anyhow::ensure!(names().any(|known| known == name), "there is no fail point `{name}`");
            Some((name.to_owned(), count.parse::<u64>()?))
        }
    };
    if target.is_none() && log.is_none() {
        return Ok(());
    }
    let hits: Arc<BTreeMap<&'static str, AtomicU64>> =
        Arc::new(names().map(|name| (name, AtomicU64::new(0))).collect());
    for name in names() {
        let (hits, target, log) = (Arc::clone(&hits), target.clone(), log.clone());
        let hit = move || {
            let count = hits.get(name).map_or(0, |count| count.fetch_add(1, Ordering::SeqCst) + 1);
            if target.as_ref().is_some_and(|(wanted, at)| wanted == name && *at == count) {
                die(&hits, log.as_ref());
            }
        };
        fail::cfg_callback(name, hit).map_err(|error| anyhow::anyhow!("arming {name}: {error}"))?;
    }
    Ok(())
}

fn die(hits: &BTreeMap<&'static str, AtomicU64>, log: Option<&PathBuf>) -> ! {
    if let Some(file) = log.and_then(|path| OpenOptions::new().create(true).append(true).open(path).ok()) {
        let mut file = file;
        drop(writeln!(file, "killed_at {}", flow::clock::Clock::system().now().wall.0));
        for (name, count) in hits {
            // The process dies in a moment: a line that cannot be written is a point that counts as not hit.
            drop(writeln!(file, "{name} {}", count.load(Ordering::SeqCst)));
        }
    }
    if let Err(error) =
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
    {
        eprintln!("no SIGKILL ({error}): aborting instead");
    }
    std::process::abort()
}
