//! An error at every named place: the writer refuses all further work, and a restart, even after a power cut, finds
//! everything that was acknowledged. Runs with `--features failpoints`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fail::FailScenario;
use flow::clock::UnixMillis;
use flow::segment::SegmentIo;
use journal::testing::Owner;
use journal::vfs::{PowerCut, SimVfs};
use journal::{Settings, failpoint, open};

const NOW: UnixMillis = UnixMillis(1_763_800_000_000);

fn settings() -> Settings {
    Settings {
        partitions: 1,
        segment_bytes: 1 << 20,
        allocate_step: 1024,
        ballast_bytes: 4 << 10,
        // Of the records of `live`, some blocks are large and some are not.
        direct_from: 600,
        max_age: Duration::from_secs(60),
        ..Settings::default()
    }
}

fn start(vfs: &SimVfs) -> io::Result<Owner> {
    let journal = open(Arc::new(vfs.clone()), Path::new("/j"), &settings()).map_err(io::Error::other)?;
    Owner::start(journal.writers.into_iter().next().ok_or(io::ErrorKind::NotFound)?, NOW)
}

/// A life with everything in it; counts what was acknowledged.
fn live(vfs: &SimVfs, acknowledged: &mut u64) -> io::Result<()> {
    let mut owner = start(vfs)?;
    for round in 0..3 {
        owner.now = UnixMillis(NOW.0 + round * 100_000);
        for n in 0..4 {
            owner.writer.reserve(10_000, false).map_err(io::Error::other)?;
            let pad = vec![b'x'; if n % 2 == 0 { 300 } else { 800 }];
            owner.append(&[("acme", &pad), ("bolt", b"\"n\":1}")])?;
            stop_on(&mut owner, |owner| owner.sync())?;
            *acknowledged = owner.next_row;
        }
        owner.roll()?;
        owner.writer.expire(owner.now)?;
    }
    // On a full disk lane state uses the ballast up; with room again it is made whole.
    vfs.set_capacity(Some(vfs.used()));
    owner.writer.reserve(2_000, true).map_err(io::Error::other)?;
    owner.control(b"cursor")?;
    owner.sync()?;
    vfs.set_capacity(None);
    owner.writer.reserve(2_000, false).map_err(io::Error::other)?;
    owner.append(&[("acme", b"\"n\":2}")])?;
    owner.control(b"lane")?;
    drop(owner);
    vfs.kill();
    // Recovery with something to copy.
    let owner = start(vfs)?;
    *acknowledged = owner.next_row;
    Ok(())
}

/// After an error nothing may be written any more, whatever the caller tries.
fn stop_on(owner: &mut Owner, act: impl Fn(&mut Owner) -> io::Result<()>) -> io::Result<()> {
    let result = act(owner);
    if result.is_err() {
        assert!(owner.writer.sync().is_err() && owner.append(&[("acme", b"}")]).is_err());
        assert!(owner.writer.reserve(1, true).is_err());
    }
    result
}

#[test]
fn an_error_at_every_place_loses_nothing_acknowledged() {
    let scenario = FailScenario::setup();
    let mut silent = Vec::new();
    for name in failpoint::ALL {
        let mut reached = false;
        // The first hit, and later ones.
        for skip in [0, 1, 3, 7, 15] {
            let vfs = SimVfs::default();
            let mut acknowledged = 0;
            fail::cfg(*name, &format!("{skip}*off->1*return->off")).unwrap();
            let result = live(&vfs, &mut acknowledged);
            fail::remove(*name);
            reached |= result.is_err();
            vfs.set_capacity(None);
            vfs.power_cut(PowerCut { seed: 11 + skip, keep_percent: 50 });
            let owner = start(&vfs).unwrap_or_else(|error| panic!("after {name} ({skip}): {error}"));
            assert!(
                owner.next_row >= acknowledged,
                "after {name}: {} of {acknowledged} rows",
                owner.next_row
            );
        }
        if !reached {
            silent.push(*name);
        }
    }
    scenario.teardown();
    assert!(silent.is_empty(), "never reached: {silent:?}");
}
