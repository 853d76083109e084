//! Fills a journal and measures how long it takes to open: `open DIR ROWS [ROWS_PER_BLOCK [BLOCKS_PER_SYNC]]`.
//!
//! With an existing journal in DIR and ROWS 0 it only opens.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flow::clock::{Clock, Instant};
use flow::log::Scope;
use flow::segment::{SegmentIo, SegmentRead};
use flow::units::{PartitionId, Row};
use journal::testing::Owner;
use journal::vfs::OsVfs;
use journal::{Journal, Settings, open};

const ORGS: usize = 2_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().ok_or("usage: open DIR ROWS [ROWS_PER_BLOCK [BLOCKS_PER_SYNC]]")?;
    let rows: usize = arguments.next().map_or(Ok(0), |text| text.parse())?;
    let per_block: usize = arguments.next().map_or(Ok(500), |text| text.parse())?;
    let per_sync: usize = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let clock = Clock::system();
    let dir = Path::new(&dir);
    if rows > 0 {
        fill(dir, rows, (per_block, per_sync), &clock)?;
    }
    for round in ["first", "second"] {
        let start = clock.now().instant;
        let journal = open(Arc::new(OsVfs), dir, &Settings::default())?;
        let opened = since(&clock, start);
        let (mut total, mut tables) = (0, 0u64);
        let start = clock.now().instant;
        let mut writers = journal.writers;
        let window = (1u64 << 21) / writers.len() as u64;
        let mut replayed = Duration::ZERO;
        for writer in &mut writers {
            total += writer.next_row().0;
            let at = clock.now().instant;
            writer.replay(&mut |_| {})?;
            replayed += since(&clock, at);
            let from = Row(writer.next_row().0.saturating_sub(window));
            writer.replay_rows(from, &mut |block| tables += u64::from(block.header().rows))?;
        }
        println!(
            "{round}: {total} rows, open {opened:?}, state replay {replayed:?}, with {tables} rows of the duplicate window {:?}",
            since(&clock, start)
        );
        let start = clock.now().instant;
        let extent = journal.reader.extent(PartitionId(0), &Scope::All, Row(1));
        let cold = since(&clock, start);
        let org = Scope::one(event::OrgId::new("org-00007")?);
        let start = clock.now().instant;
        let mine = journal.reader.extent(PartitionId(7), &org, Row(1));
        let first = since(&clock, start);
        let start = clock.now().instant;
        let again = journal.reader.extent(PartitionId(7), &org, Row(1));
        println!(
            "  extent of all {} rows {cold:?}; of one organisation {} rows {first:?}, again {} {:?}",
            extent.rows,
            mine.rows,
            again.rows,
            since(&clock, start)
        );
        let start = clock.now().instant;
        let (mut next, mut read) = (Row(0), 0);
        while let flow::log::Slice::Rows { pieces, next: after } =
            journal.reader.read(PartitionId(7), next, &org, 1 << 20)?
        {
            read += pieces.iter().map(flow::log::Piece::count).sum::<u64>();
            next = after;
        }
        println!("  reading {read} records of one organisation {:?}", since(&clock, start));
    }
    Ok(())
}

fn since(clock: &Clock, start: Instant) -> Duration {
    clock.now().instant.saturating_duration_since(start)
}

fn fill(
    dir: &Path,
    rows: usize,
    (per_block, per_sync): (usize, usize),
    clock: &Clock,
) -> Result<(), Box<dyn Error>> {
    let Journal { writers, .. } = open(Arc::new(OsVfs), dir, &Settings::default())?;
    let partitions = writers.len();
    let names: Vec<String> = (0..ORGS).map(|n| format!("org-{n:05}")).collect();
    let record = format!("\"pad\":\"{}\"}}", "x".repeat(900));
    let start = clock.now().instant;
    for (partition, writer) in writers.into_iter().enumerate() {
        let mut owner = Owner::start(writer, clock.now().wall)?;
        let mine: Vec<&str> = names
            .iter()
            .enumerate()
            .filter(|(n, _)| n % partitions == partition)
            .map(|(_, name)| &**name)
            .collect();
        let (mut done, mut at) = (0, 0);
        while done < rows / partitions {
            let block: Vec<(&str, &[u8])> = (0..per_block)
                .filter_map(|n| mine.get((at + n * 7) % mine.len()))
                .map(|org| (*org, record.as_bytes()))
                .collect();
            owner.writer.reserve((per_block * 1200) as u64, false)?;
            owner.append(&block)?;
            if at % per_sync == 0 {
                owner.sync()?;
            }
            if owner.writer.is_full() {
                owner.roll()?;
            }
            done += block.len();
            at += 1;
        }
        owner.sync()?;
    }
    println!("filled {rows} rows in {:?}", since(clock, start));
    Ok(())
}
