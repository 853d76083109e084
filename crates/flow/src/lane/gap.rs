//! Rows that cannot be read any more: counted exactly, recorded, and told to the sink.

use std::fmt::Write as _;

use super::core::Core;
use super::start::delivery_id;
use super::table::{Job, Place, SinkRow};
use crate::clock::Moment;
use crate::lane_state::OpenGap;
use crate::log::{GapReason, Scope};
use crate::sink::{GapRecord, Rows};
use crate::units::{PartitionId, Row, RowRange};

impl Core {
    /// Retention has removed rows of a partition. Lanes are told at once, also those that do not read because their
    /// sink is blocked: what has expired is not pending any more.
    pub(super) fn expired(&mut self, partition: PartitionId, now: Moment) {
        for index in 0..u32::try_from(self.lanes.len()).unwrap_or(u32::MAX) {
            if self.lane(index).is_some_and(|lane| lane.partition == partition) {
                self.check_expired(index, now);
            }
        }
    }

    pub(super) fn check_expired(&mut self, index: u32, now: Moment) {
        let Some(lane) = self.lane(index) else { return };
        let (expired, reason) = self.expired_before(lane.partition);
        if lane.ledger.scan() < expired && lane.is_done() {
            // Nothing of it was there: to count that for ten thousand idle lanes would be a lot of reading.
            self.pass(index, expired, now);
            if let Some(lane) = self.lane_mut(index) {
                lane.caught_up_at = Some(lane.ledger.scan());
            }
            return;
        }
        let held = lane.read_after.is_some_and(|after| now.instant < after);
        if lane.place != Place::Job && !held && lane.ledger.has_unsettled_before(expired) {
            let sink = lane.sink;
            self.find_gap(index, RowRange { start: Row(0), end: expired }, reason);
            self.call_next(Some(sink), now);
        }
    }

    /// `rows` are gone for this lane: finds out how many of them were its sink's. Retention removes all before a row,
    /// so its gaps start at the first one; what lies before a damage can still be read and is not given up with it.
    pub(super) fn find_gap(&mut self, index: u32, rows: RowRange, reason: GapReason) {
        let Some(lane) = self.lane(index) else { return };
        let rows = match reason {
            GapReason::Retention => RowRange { start: Row(0), ..rows },
            GapReason::Corruption => rows,
        };
        let measured = lane.ledger.gap_end(rows.end);
        self.drop_stash(index);
        self.queue_job(index, Job::Measure { rows, measured, reason });
    }

    /// The answer: how many records of the sink lie before `measured`.
    pub(super) fn close_gap(
        &mut self,
        index: u32,
        from: Row,
        measured: Row,
        reason: GapReason,
        before_measured: u64,
        now: Moment,
    ) {
        let Some(lane) = self.lanes.get_mut(index as usize).and_then(Option::as_mut) else { return };
        let Some(sink) = self.sinks.get(lane.sink as usize).and_then(Option::as_ref) else { return };
        let one_org = matches!(&sink.spec.scope, Scope::Orgs(orgs) if orgs.len() == 1);
        let (expired, lost) = (lane.ledger.counts().expired, lane.ledger.counts().lost);
        let committable =
            lane.ledger.close_gap(from, measured, reason, lane.start(), before_measured, one_org);
        if let Some(committable) = &committable {
            lane.commit(committable);
        }
        // A range that waited to be sent again may reach beyond the gap: the rest of it is cut anew.
        lane.caught_up_at = None;
        let counts = lane.ledger.counts();
        let records = (counts.expired - expired) + (counts.lost - lost);
        if records > 0 {
            tracing::warn!(sink = %sink.label, records, end = measured.0, reason = reason.name(),
                "records can no longer be delivered to a sink: it will be told of the gap");
        }
        self.mark_dirty(index, now);
    }

    /// Sends the lane's first gap as a record of its own.
    pub(super) fn tell_gap(&mut self, index: u32, now: Moment) {
        let number = self.number();
        let Some(lane) = self.lanes.get_mut(index as usize).and_then(Option::as_mut) else { return };
        let Some(sink) = self.sinks.get(lane.sink as usize).and_then(Option::as_ref) else { return };
        let Some(gap) = lane.ledger.untold_gap().copied() else { return };
        let Some(ticket) = lane.ledger.tell(number) else { return };
        let record = GapRecord {
            org: organisation(&sink.spec.scope).to_owned(),
            rows: gap.rows,
            time_ms: now.wall.0,
            record: gap_record(sink, &gap).into_bytes(),
        };
        let last = Row(gap.rows.end.0.saturating_sub(1));
        let id = delivery_id(self.settings.journal_id, sink, lane.partition, true, gap.rows.start, last);
        let rows = Rows::of_gap(record, std::sync::Arc::clone(&lane.starts));
        self.launch(index, rows, ticket, id, 1, now);
    }
}

fn organisation(scope: &Scope) -> &str {
    match scope {
        Scope::Orgs(orgs) if orgs.len() == 1 => orgs.first().map_or("*", event::OrgId::as_str),
        Scope::Orgs(_) | Scope::All => "*",
    }
}

/// The gap as the sink gets it: canonical JSON, version 1.
fn gap_record(sink: &SinkRow, gap: &OpenGap) -> String {
    let mut json = String::with_capacity(256);
    json.push_str("{\"v\":1,\"kind\":\"gap\",\"sink\":\"");
    for c in sink.spec.name.chars() {
        match c {
            '"' | '\\' => {
                json.push('\\');
                json.push(c);
            }
            c if c < ' ' => put(&mut json, format_args!("\\u{:04x}", u32::from(c))),
            c => json.push(c),
        }
    }
    put(&mut json, format_args!("\",\"org_id\":\"{}\"", organisation(&sink.spec.scope)));
    if let Some((first, last)) = gap.seqs {
        put(&mut json, format_args!(",\"first_seq\":{first},\"last_seq\":{last}"));
    }
    let last_row = gap.rows.end.0.saturating_sub(1);
    put(
        &mut json,
        format_args!(
            ",\"count\":{},\"reason\":\"{}\",\"first_row\":{},\"last_row\":{last_row}}}",
            gap.count,
            gap.reason.name(),
            gap.rows.start,
        ),
    );
    json
}

fn put(json: &mut String, text: std::fmt::Arguments<'_>) {
    match json.write_fmt(text) {
        Ok(()) => {}
        Err(_) => debug_assert!(false, "writing to a string does not fail"),
    }
}
