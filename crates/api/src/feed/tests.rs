use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use flow::clock::Clock;
use flow::units::PartitionId;
use proptest::prelude::*;
use tokio::io::ReadBuf;

use super::*;
use crate::tests::fixture::{Memory, event, events, grant, intake};

/// Gives its pieces one read each.
struct Pieces(std::vec::IntoIter<Vec<u8>>);

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if let Some(piece) = self.0.next() {
            buf.put_slice(&piece);
        }
        Poll::Ready(Ok(()))
    }
}

struct Fed {
    report: FeedReport,
    rejected: Vec<(u64, &'static str)>,
    memory: Arc<Memory>,
    result: Result<(), FeedFault>,
}

async fn feed_on(memory: Arc<Memory>, pieces: Vec<Vec<u8>>) -> Fed {
    let clock = Clock::system();
    let (intake, _) = intake(&memory, &clock);
    let (mut report, mut rejected) = (FeedReport::default(), Vec::new());
    let result = ndjson(
        Pieces(pieces.into_iter()),
        &intake,
        &grant("stdin"),
        "stdin",
        &mut report,
        &mut |line, rejection| rejected.push((line, rejection.code.name())),
    )
    .await;
    Fed { report, rejected, memory, result }
}

async fn feed(pieces: Vec<Vec<u8>>) -> Fed {
    feed_on(Memory::new(), pieces).await
}

#[tokio::test]
async fn a_file_goes_in_batch_by_batch() {
    let fed = feed(events(0..3500).chunks(300_000).map(<[u8]>::to_vec).collect()).await;
    assert!(fed.result.is_ok());
    assert_eq!(fed.report, FeedReport { lines: 3500, accepted: 3500, duplicates: 0, rejected: 0 });
    assert_eq!(fed.memory.stored(), 3500);
    assert!((4..=8).contains(&fed.memory.appends()), "{} appends", fed.memory.appends());
}

#[tokio::test]
async fn rejected_lines_have_their_number_in_the_whole_file() {
    let mut text = String::from_utf8(events(0..2500)).unwrap();
    text.push_str("\nbroken\n\n");
    text.push_str(&event("last"));
    let fed = feed(vec![text.into_bytes()]).await;
    assert_eq!(fed.rejected, [(2502, "TW-2001")]);
    assert_eq!(fed.report, FeedReport { lines: 2504, accepted: 2501, duplicates: 0, rejected: 1 });
}

#[tokio::test]
async fn a_second_run_stores_nothing_twice() {
    let first = feed(vec![events(0..1500)]).await;
    let second = feed_on(first.memory, vec![events(0..1600)]).await;
    assert_eq!(second.report, FeedReport { lines: 1600, accepted: 100, duplicates: 1500, rejected: 0 });
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_waited_out() {
    let memory = Memory::new();
    for _ in 0..6 {
        memory.fail_next(AppendFault::Busy(PartitionId(0)));
        memory.fail_next(AppendFault::Refused(flow::segment::Refusal::DiskFull));
    }
    let fed = feed_on(memory, vec![events(0..10)]).await;
    assert!(fed.result.is_ok());
    assert_eq!(fed.report, FeedReport { lines: 10, accepted: 10, duplicates: 0, rejected: 0 });
    assert_eq!(fed.memory.appends(), 13);
}

#[tokio::test]
async fn a_stopped_journal_ends_the_feed_and_names_the_line() {
    let memory = Memory::new();
    memory.fail_next(AppendFault::Stopped(PartitionId(0)));
    let fed = feed_on(memory, vec![events(0..10)]).await;
    assert!(matches!(fed.result, Err(FeedFault::Stopped { line: 1, .. })), "{:?}", fed.result);
    assert_eq!(fed.report, FeedReport::default());
}

#[tokio::test]
async fn a_line_without_end_is_refused_without_being_kept() {
    let mut pieces = vec![events(0..1)];
    pieces.extend((0..20).map(|_| vec![b'x'; 1 << 20]));
    pieces.push([b"\n", events(1..2).as_slice()].concat());
    pieces.push([&b"{"[..], &vec![b'y'; 300 << 10]].concat());
    let fed = feed(pieces).await;
    assert!(fed.result.is_ok());
    assert_eq!((fed.report.lines, fed.report.accepted, fed.report.rejected), (4, 2, 2));
    assert_eq!(fed.rejected.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 4]);
}

#[tokio::test]
async fn an_empty_input_is_no_fault() {
    let fed = feed(Vec::new()).await;
    assert!(fed.result.is_ok());
    assert_eq!(fed.report, FeedReport::default());
}

/// Cuts without an intake: what comes out in batches.
async fn batches(pieces: Vec<Vec<u8>>) -> Vec<(Vec<u8>, u64)> {
    let mut reader = Pieces(pieces.into_iter());
    let (mut lines, mut out) = (Lines::default(), Vec::new());
    loop {
        let at_end = lines.fill(&mut reader).await.unwrap();
        while let Some(cut) = lines.cut(at_end) {
            out.push((lines.slice(cut).to_vec(), cut.lines));
            lines.done(cut);
        }
        if at_end {
            return out;
        }
    }
}

proptest! {
    #[test]
    fn however_it_is_read_every_line_comes_out_whole(
        lines in proptest::collection::vec("[a-z]{0,40}", 0..3000),
        pieces in proptest::collection::vec(1_usize..30_000, 1..10),
        ends in any::<bool>(),
    ) {
        let mut text = lines.join("\n").into_bytes();
        if ends && !text.is_empty() {
            text.push(b'\n');
        }
        let (mut rest, mut read) = (text.as_slice(), Vec::new());
        for size in pieces.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, more) = rest.split_at(rest.len().min(*size));
            read.push(piece.to_vec());
            rest = more;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let out = runtime.block_on(batches(read));
        prop_assert_eq!(out.iter().flat_map(|(bytes, _)| bytes.clone()).collect::<Vec<_>>(), text);
        for (bytes, count) in &out {
            let feeds = memchr::memchr_iter(b'\n', bytes).count() as u64;
            prop_assert_eq!(*count, feeds + u64::from(!bytes.ends_with(b"\n")));
            prop_assert!(*count <= BATCH_LINES as u64 + 1);
        }
        // Only the very last batch may end in the middle of a line.
        for (bytes, _) in out.iter().rev().skip(1) {
            prop_assert!(bytes.ends_with(b"\n"));
        }
    }
}
