//! What an attempt's end means for its lane and its sink.

use std::cmp::Reverse;

use super::core::{Core, Timer};
use super::table::{Admission, Flight, Place};
use crate::clock::Moment;
use crate::sink::{Attempt, Cause, Settled, TicketId, Unconfirmed, Verdict};

impl Core {
    pub(super) fn ended(&mut self, attempt: Attempt, now: Moment) {
        match attempt {
            Attempt::Settled(settled) => self.settled(settled, now),
            Attempt::Unconfirmed(unconfirmed) => self.unconfirmed(unconfirmed, now),
        }
    }

    fn settled(&mut self, settled: Settled, now: Moment) {
        fail::fail_point!("lane::settle::before");
        let ticket = settled.ticket.id;
        let verdict = settled.verdict.clone();
        let (records, nearly_full) = (settled.rows.count(), settled.nearly_full);
        // Asked for only when it may have to be shown: making it reads the record.
        let single = match verdict {
            Verdict::Split(_) | Verdict::PerRow { .. } => settled.rows.single(),
            _ => None,
        };
        let Some(flight) = self.land(ticket) else {
            self.counters.refused_verdicts += 1;
            return;
        };
        let closed = self.lane_of(ticket.lane).map(|lane| {
            let closed = lane.ledger.close(settled);
            if let Ok(Some(committable)) = &closed {
                lane.commit(committable);
            }
            closed
        });
        match closed {
            Some(Ok(_)) => {
                if matches!(verdict, Verdict::Accepted | Verdict::PerRow { .. }) {
                    self.mark_dirty(ticket.lane.index, now);
                }
            }
            Some(Err(refused)) => {
                self.counters.refused_verdicts += 1;
                tracing::debug!(%refused, "a verdict is not taken; the rows are sent again");
            }
            None => self.counters.refused_verdicts += 1,
        }
        if self.sink(flight.sink).is_some_and(|sink| sink.serial == flight.serial) {
            let is_accepted = verdict == Verdict::Accepted;
            self.judge(&flight, verdict, records, single.as_deref(), now);
            if is_accepted {
                self.set_pace(&flight, nearly_full, now);
            }
        }
        fail::fail_point!("lane::settle::after");
        self.after_attempt(&flight, ticket.lane.index, now);
    }

    /// What the verdict says about the sink.
    fn judge(&mut self, flight: &Flight, verdict: Verdict, records: u64, single: Option<&str>, now: Moment) {
        match verdict {
            Verdict::Accepted => self.recover(flight, now),
            Verdict::Retry { after, cause } => self.fail(flight, after, cause, now),
            Verdict::Blocked(cause) => self.block(flight, cause, now),
            // The halves are smaller: there is nothing to wait for.
            Verdict::Split(cause) if records > 1 => self.note(flight, cause, now),
            Verdict::Split(cause) => self.block(flight, refusal(cause, single), now),
            Verdict::PerRow { accepted_prefix, refused, cause } => {
                let accepted = accepted_prefix.min(records);
                match refused.filter(|refused| (accepted..records).contains(refused)) {
                    // What lies before the refused record goes first, and then the record alone: only then is it
                    // certain, and known, which one it is.
                    Some(_) if records > 1 => self.note(flight, cause, now),
                    Some(_) => self.block(flight, refusal(cause, single), now),
                    None if accepted == records => self.recover(flight, now),
                    None if accepted > 0 => {
                        self.recover(flight, now);
                        self.note(flight, cause, now);
                    }
                    None => self.fail(flight, None, cause, now),
                }
            }
        }
    }

    /// The far end took a delivery: may the sink have more of them at one time, or should it have fewer?
    fn set_pace(&mut self, flight: &Flight, nearly_full: bool, now: Moment) {
        let Some(sink) = self.sink_mut(flight.sink) else { return };
        let concurrency = sink.spec.concurrency;
        if nearly_full {
            sink.pace.slow(concurrency, flight.started, now.instant);
            tracing::debug!(sink = %sink.label, limit = sink.pace.limit(concurrency), "the far end is nearly full");
        } else if sink.pace.ease(concurrency) {
            self.wake_sink(flight.sink, now);
        }
    }

    pub(super) fn abandoned(&mut self, ticket: TicketId, now: Moment) {
        let Some(flight) = self.land(ticket) else { return };
        self.counters.abandoned += 1;
        if let Some(lane) = self.lane_of(ticket.lane)
            && let Err(refused) = lane.ledger.abandon(ticket)
        {
            tracing::debug!(%refused, "an abandoned attempt is of no lane");
        }
        if self.sink(flight.sink).is_some_and(|sink| sink.serial == flight.serial) {
            let cause = Cause {
                what: "the delivery ended without a verdict: it panicked or was dropped".to_owned(),
                remedy:
                    "this is a fault in Trailwire: look for a panic in its log; the records are sent again"
                        .to_owned(),
                code: None,
            };
            self.fail(&flight, None, cause, now);
        }
        self.after_attempt(&flight, ticket.lane.index, now);
    }

    /// Takes an attempt off the books: memory, places, probe.
    fn land(&mut self, ticket: TicketId) -> Option<Flight> {
        if self.flights.get(&ticket.number)?.lane != ticket.lane {
            debug_assert!(false, "a number belongs to one lane");
            return None;
        }
        let flight = self.flights.remove(&ticket.number)?;
        let is_current = self.sink(flight.sink).is_some_and(|sink| sink.serial == flight.serial);
        if !is_current {
            self.memory.release(flight.charged, false);
            return Some(flight);
        }
        self.let_go(flight.sink, flight.charged);
        if let Some(sink) = self.sink_mut(flight.sink) {
            sink.in_flight = sink.in_flight.saturating_sub(1);
            if flight.is_old {
                sink.old = sink.old.saturating_sub(1);
            }
            if flight.is_probe {
                sink.end_probe();
            }
        }
        self.classify(flight.sink);
        Some(flight)
    }

    /// The sink has a free place, and the lane perhaps more to send.
    fn after_attempt(&mut self, flight: &Flight, index: u32, now: Moment) {
        self.check_expired(index, now);
        self.call_next(Some(flight.sink), now);
        self.offer(index, now);
    }

    /// If a place of the sink is free, the lane that has waited for one the longest is called. As long as lanes wait and
    /// a place is free, one that was called has not had its turn yet: whoever ends such a turn without an attempt, or
    /// takes the lane elsewhere before it, calls the next.
    pub(super) fn call_next(&mut self, sink: Option<u32>, now: Moment) {
        let Some(index) = sink else { return };
        while let Some(row) = self.sink_mut(index).filter(|row| row.admission(now.instant) == Admission::Yes)
        {
            let Some(next) = row.waiting.pop_front() else { return };
            if self.lane(next).is_some_and(|lane| lane.place == Place::Slot && lane.sink == index) {
                self.make_ready(next, false);
                return;
            }
        }
    }

    fn unconfirmed(&mut self, unconfirmed: Unconfirmed, now: Moment) {
        let number = unconfirmed.delivery.ticket.id.number;
        // A delivery that is not under way is dropped here, which says so to nobody who waits for it.
        let Some(flight) = self.flights.get(&number) else { return };
        let (sink, serial) = (flight.sink, flight.serial);
        if let Some(row) = self.sink_mut(sink).filter(|row| row.serial == serial) {
            let due = now.instant + unconfirmed.ask_after;
            row.unconfirmed.push((due, unconfirmed));
            self.timers.push(Reverse((due, Timer::Confirm(sink))));
        }
    }
}

/// `record` says which one it is.
fn refusal(cause: Cause, record: Option<&str>) -> Cause {
    let which = record.map_or_else(String::new, |record| format!(" ({record})"));
    let what = format!("one record is refused and holds up those behind it{which}: {}", cause.what);
    Cause { what, ..cause }
}
