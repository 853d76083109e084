//! Raw events from a file or from stdin: the same way in as over HTTP, batch by batch.
//!
//! A feed that is broken off can be run again from its beginning: what is stored already counts as duplicate, as long
//! as it lies in the duplicate window.

#[cfg(test)]
mod tests;

use std::time::Duration;

use event::reject::Rejection;
use flow::ingress::SubmitFault;
use flow::log::AppendFault;
use pipelines::{BodyFault, Format, Grant};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::intake::{Batch, Intake};

/// Lines and bytes of one batch, at most.
const BATCH_LINES: usize = 1000;
const BATCH_BYTES: usize = 1 << 20;
/// One byte more than an event may have: a longer line is refused by what is kept of it.
const LONGEST_LINE: usize = (256 << 10) + 1;
/// Waits between attempts while the journal cannot take events.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What a feed led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FeedReport {
    /// Lines read, blank ones too.
    pub lines: u64,
    /// Events that were stored.
    pub accepted: u64,
    /// Events that were there already.
    pub duplicates: u64,
    /// Events that were refused.
    pub rejected: u64,
}

/// Why a feed ended before its end. Everything before the reported line is durable.
#[derive(Debug, thiserror::Error)]
pub enum FeedFault {
    /// The input cannot be read.
    #[error(
        "reading line {line} failed: {error}; run it again when the input is readable, nothing is stored twice"
    )]
    Read {
        /// The first line that was not read.
        line: u64,
        /// Why.
        error: std::io::Error,
    },
    /// The journal takes nothing any more: the process stops.
    #[error(
        "storing from line {line} on failed: {fault}; run it again after the restart, nothing is stored twice"
    )]
    Stopped {
        /// The first line that is not known to be stored.
        line: u64,
        /// Why.
        fault: SubmitFault,
    },
    /// A batch was refused as a whole.
    #[error("from line {line} on: {fault}")]
    Body {
        /// The batch's first line.
        line: u64,
        /// Why.
        fault: BodyFault,
    },
}

/// Reads NDJSON to its end. Every refused line is told to `on_rejected` with its number in the whole input, from 1.
///
/// Quotas do not apply: there is nobody who could send a refused line again. While the disk is full or a partition
/// has no room this waits, so the reader is not read either.
///
/// # Errors
/// [`FeedFault`]; `report` says how far it came.
pub async fn ndjson(
    mut reader: impl AsyncRead + Unpin + Send,
    intake: &Intake,
    grant: &Grant,
    source: &'static str,
    report: &mut FeedReport,
    on_rejected: &mut (dyn FnMut(u64, &Rejection) + Send),
) -> Result<(), FeedFault> {
    let mut lines = Lines::default();
    loop {
        let read = lines.fill(&mut reader).await;
        let at_end = match read {
            Ok(at_end) => at_end,
            Err(error) => return Err(FeedFault::Read { line: report.lines + 1, error }),
        };
        while let Some(cut) = lines.cut(at_end) {
            let batch =
                Batch { body: lines.slice(cut), format: Format::Ndjson, grant, source, limited: false };
            take(batch, cut.lines, intake, report, on_rejected).await?;
            lines.done(cut);
        }
        if at_end {
            return Ok(());
        }
    }
}

async fn take(
    batch: Batch<'_>,
    lines: u64,
    intake: &Intake,
    report: &mut FeedReport,
    on_rejected: &mut (dyn FnMut(u64, &Rejection) + Send),
) -> Result<(), FeedFault> {
    let first = report.lines + 1;
    let tally = intake.tallies().of(batch.source, batch.grant.producer());
    tally.body(batch.body.len(), batch.body.len());
    let body_fault = |fault| FeedFault::Body { line: first, fault };
    let mut draft = intake.draft(batch, Some(&tally)).map_err(body_fault)?;
    for rejection in &draft.rejected {
        on_rejected(report.lines + u64::from(rejection.line), rejection);
    }
    report.rejected += draft.rejected.len() as u64;
    let mut wait = FIRST_WAIT;
    loop {
        match intake.store(draft.take_parts(), &tally).await {
            Ok(stored) => {
                report.accepted += stored.accepted;
                report.duplicates += stored.duplicates;
                report.lines += lines;
                return Ok(());
            }
            Err(fault) if fault.faults.iter().any(|(_, fault)| matches!(fault, AppendFault::Stopped(_))) => {
                return Err(FeedFault::Stopped { line: first, fault });
            }
            Err(fault) => {
                tracing::warn!(%fault, line = first, wait_ms = wait.as_millis(), "the journal takes no events now");
                let clock = intake.clock();
                clock.sleep_until(clock.now().instant + wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
                // The rows went with the attempt; what was stored of them counts as duplicate now.
                draft = intake.draft(batch, None).map_err(body_fault)?;
            }
        }
    }
}

/// Whole lines at the front of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    bytes: usize,
    lines: u64,
}

/// What was read and not yet handed on. It is raw, so it has no `Debug`.
#[derive(Default)]
struct Lines {
    buffer: Vec<u8>,
    start: usize,
    /// The rest of a line that is too long is skipped up to its end.
    skipping: bool,
}

impl Lines {
    /// Reads once. True at the end of the input.
    async fn fill(&mut self, reader: &mut (impl AsyncRead + Unpin)) -> std::io::Result<bool> {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.reserve(BATCH_BYTES);
        let before = self.buffer.len();
        let read = reader.read_buf(&mut self.buffer).await?;
        if self.skipping {
            self.skip(before);
        }
        Ok(read == 0)
    }

    /// Drops what belongs to a line that is too long: the bytes at and behind `from`, up to the line feed.
    fn skip(&mut self, from: usize) {
        let Some(fresh) = self.buffer.get(from..) else { return };
        match memchr::memchr(b'\n', fresh) {
            Some(at) => {
                self.buffer.drain(from..from + at);
                self.skipping = false;
            }
            None => self.buffer.truncate(from),
        }
    }

    /// The next batch of whole lines; at the end of the input the last line needs no line feed.
    fn cut(&mut self, at_end: bool) -> Option<Cut> {
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        let mut cut = Cut { bytes: 0, lines: 0 };
        let mut longest = false;
        for at in memchr::memchr_iter(b'\n', rest) {
            if cut.lines as usize == BATCH_LINES || (at >= BATCH_BYTES && cut.lines > 0) {
                longest = true;
                break;
            }
            cut = Cut { bytes: at + 1, lines: cut.lines + 1 };
        }
        if cut.lines > 0 && (longest || !at_end) {
            return Some(cut);
        }
        if at_end && !rest.is_empty() {
            let open = u64::from(!rest.ends_with(b"\n"));
            return Some(Cut { bytes: rest.len(), lines: cut.lines + open });
        }
        let open = rest.len() - cut.bytes;
        if cut.lines == 0 && open > LONGEST_LINE && !self.skipping {
            self.buffer.truncate(self.start + LONGEST_LINE);
            self.skipping = true;
        }
        None
    }

    fn slice(&self, cut: Cut) -> &[u8] {
        self.buffer.get(self.start..self.start + cut.bytes).unwrap_or_default()
    }

    fn done(&mut self, cut: Cut) {
        self.start += cut.bytes;
    }
}
