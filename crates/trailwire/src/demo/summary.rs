//! The one-screen summary.

use std::collections::BTreeMap;
use std::fmt;

use receiver::Receiver;
use receiver::audit::Report;
use serde_json::Value;

use super::sample::Sample;
use crate::bench::installation::SHARED_TOKEN;

/// What the daemon answered to the producer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Intake {
    sent: u64,
    accepted: u64,
    duplicates: u64,
    /// Codes of refused events.
    rejected: BTreeMap<String, u64>,
}

impl Intake {
    /// Adds the answer to `lines` events.
    pub(super) fn add(&mut self, lines: usize, answer: &Value) {
        let number = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or(0);
        self.sent += lines as u64;
        self.accepted += number("accepted");
        self.duplicates += number("duplicates");
        for rejection in answer.get("rejected").and_then(Value::as_array).into_iter().flatten() {
            let code = rejection.get("code").and_then(Value::as_str).unwrap_or("?");
            *self.rejected.entry(code.to_owned()).or_default() += 1;
        }
    }
}

/// Records that some sink still has to deliver.
pub(super) fn pending(status: &Value) -> u64 {
    sinks(status).map(|sink| term(sink, "pending")).sum()
}

fn sinks(status: &Value) -> impl Iterator<Item = &Value> {
    status.get("sinks").and_then(Value::as_array).into_iter().flatten()
}

fn term(sink: &Value, name: &str) -> u64 {
    sink.get(name).and_then(Value::as_u64).unwrap_or(0)
}

/// What one sink has done, by the daemon and by the receiver.
#[derive(Debug, Clone, PartialEq)]
struct Line {
    org: String,
    name: String,
    state: String,
    stamped: u64,
    delivered: u64,
    pending: u64,
    /// Age of the oldest pending record, seconds.
    lag: f64,
    /// By the receiver: distinct records, missing, repeated.
    received: u64,
    missing: u64,
    repeated: u64,
}

/// All of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Summary {
    intake: Intake,
    lines: Vec<Line>,
    complaints: Vec<String>,
}

impl Summary {
    /// Puts together what producer, daemon and receiver say.
    pub(super) fn of(sample: &Sample, intake: Intake, status: &Value, receiver: &Receiver) -> Self {
        let report = receiver.report();
        let mut lines: Vec<Line> = sinks(status).map(|sink| line(sample, sink, &report)).collect();
        lines.sort_by(|a, b| a.org.cmp(&b.org));
        Self { intake, lines, complaints: report.complaints() }
    }

    /// Whether everything is delivered and the receiver found nothing wrong.
    pub(super) fn is_clean(&self) -> bool {
        self.complaints.is_empty()
            && self.intake.rejected.is_empty()
            && self.intake.accepted + self.intake.duplicates == self.intake.sent
            && !self.lines.is_empty()
            && self.lines.iter().all(|line| line.pending == 0 && line.delivered == line.stamped)
    }
}

fn line(sample: &Sample, sink: &Value, report: &Report) -> Line {
    let text = |name: &str| sink.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let org = text("org");
    let known = sample.orgs.get(&org);
    let token = if known.is_some() { org.as_str() } else { SHARED_TOKEN };
    let feeds = || report.feeds.iter().filter(|feed| feed.token == token);
    Line {
        org: known.cloned().unwrap_or_else(|| "(all)".to_owned()),
        name: text("name"),
        state: text("state"),
        stamped: term(sink, "stamped").saturating_sub(term(sink, "start")),
        delivered: term(sink, "delivered"),
        pending: term(sink, "pending"),
        lag: sink.get("lag_seconds").and_then(Value::as_f64).unwrap_or(0.0),
        received: feeds().map(|feed| feed.records).sum(),
        missing: feeds().flat_map(|feed| &feed.missing).map(|(first, last)| last - first + 1).sum(),
        repeated: feeds().map(|feed| feed.repeats_equal + feed.repeats_unequal).sum(),
    }
}

impl Summary {
    /// The table alone.
    pub(super) fn sinks_only(&self) -> Table<'_> {
        Table(&self.lines)
    }
}

/// One line for each sink.
pub(super) struct Table<'a>(&'a [Line]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [org, sink, state] = ["organisation", "sink", "state"];
        let [stored, delivered, pending, lag] = ["stored", "delivered", "pending", "lag s"];
        let [arrived, missing, repeated] = ["arrived", "missing", "repeated"];
        writeln!(
            f,
            "{org:<12} {sink:<11} {state:<12} {stored:>7} {delivered:>9} {pending:>8} {lag:>6} | {arrived:>7} {missing:>7} {repeated:>8}"
        )?;
        for line in self.0 {
            let Line { org, name, state, stamped, delivered, pending, lag, received, missing, repeated } =
                line;
            writeln!(
                f,
                "{org:<12} {name:<11} {state:<12} {stamped:>7} {delivered:>9} {pending:>8} {lag:>6.1} | {received:>7} {missing:>7} {repeated:>8}"
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Intake { sent, accepted, duplicates, rejected } = &self.intake;
        let refused: u64 = rejected.values().sum();
        writeln!(
            f,
            "{sent} recorded events sent: {accepted} accepted, {duplicates} duplicates, {refused} rejected"
        )?;
        for (code, count) in rejected {
            writeln!(f, "  rejected: {count} x {code}")?;
        }
        writeln!(f, "\n{}", self.sinks_only())?;
        if self.is_clean() {
            return writeln!(
                f,
                "The receiver, which has been listening since this start, misses nothing, and found nothing changed, \
                 invented or misdelivered."
            );
        }
        writeln!(f, "Not all is well:")?;
        self.complaints.iter().take(10).try_for_each(|complaint| writeln!(f, "  {complaint}"))?;
        let open = self.lines.iter().filter(|line| line.pending > 0).count();
        if open > 0 {
            writeln!(f, "  {open} sinks have not delivered everything")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
