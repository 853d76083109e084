//! The health of sinks: backing off, blocked, probing, recovered; and the timers for that.

use std::cmp::Reverse;
use std::time::Duration;

use super::Target;
use super::core::{Action, Core, Timer};
use super::table::{Admission, Flight, Health, LONG, Place, SinkRow};
use crate::clock::{Instant, Moment};
use crate::sink::Cause;

impl SinkRow {
    /// The probe is over.
    pub(super) fn end_probe(&mut self) {
        match &mut self.health {
            Health::Live => {}
            Health::BackingOff { probing, .. } | Health::Blocked { probing, .. } => *probing = false,
        }
    }
}

impl Core {
    /// The far end has taken something.
    pub(super) fn recover(&mut self, flight: &Flight, now: Moment) {
        let Some(sink) = self.sink_mut(flight.sink) else { return };
        sink.last_success = Some(now.wall);
        if !sink.is_news(flight) {
            return;
        }
        sink.failures = 0;
        sink.probes = 0;
        let was_live = matches!(sink.health, Health::Live);
        sink.health = Health::Live;
        if !was_live {
            tracing::info!(sink = %sink.label, "the sink takes deliveries again");
        }
        self.classify(flight.sink);
        if !was_live {
            self.wake_sink(flight.sink, now);
        }
    }

    /// The far end failed, or the way to it.
    pub(super) fn fail(&mut self, flight: &Flight, after: Option<Duration>, cause: Cause, now: Moment) {
        let Some(sink) = self.sinks.get_mut(flight.sink as usize).and_then(Option::as_mut) else { return };
        let is_blocked = matches!(sink.health, Health::Blocked { .. });
        if !sink.is_news(flight) {
            // The same trouble: it does not count again, but what the far end asks for holds.
            let asked = after.map(|_| now.instant + self.jitter.retry(sink.failures, after));
            if !is_blocked {
                sink.fail(now.wall, cause);
            }
            if let Some(asked) = asked {
                self.put_off(flight.sink, asked);
            }
            return;
        }
        sink.failures = sink.failures.saturating_add(1);
        let until = now.instant + self.jitter.retry(sink.failures, after);
        if sink.failures == 1 {
            tracing::warn!(sink = %sink.label, what = %cause.what, "a delivery failed; it is tried again");
        }
        sink.fail(now.wall, cause);
        if is_blocked {
            // Whoever is needed has not been there yet, as far as this attempt can tell.
            sink.probes = sink.probes.saturating_add(1);
            let probe = now.instant + self.jitter.probe(sink.probes);
            self.put_off(flight.sink, until.max(probe));
        } else {
            sink.health = Health::BackingOff { since: now.instant, until, probing: false };
            self.timers.push(Reverse((until, Timer::Sink(flight.sink))));
        }
        self.classify(flight.sink);
    }

    /// Leaves a sink that is not well alone for longer.
    fn put_off(&mut self, index: u32, later: Instant) {
        let Some(sink) = self.sink_mut(index) else { return };
        match &mut sink.health {
            Health::BackingOff { until, .. } | Health::Blocked { until, .. } if *until < later => {
                *until = later;
                self.timers.push(Reverse((later, Timer::Sink(index))));
            }
            _ => {}
        }
    }

    /// The far end needs a person.
    pub(super) fn block(&mut self, flight: &Flight, cause: Cause, now: Moment) {
        let Some(sink) = self.sinks.get_mut(flight.sink as usize).and_then(Option::as_mut) else { return };
        if !sink.is_news(flight) {
            // Whether it is still so the next attempt will tell.
            sink.fail(now.wall, cause);
            return;
        }
        if !matches!(sink.health, Health::Blocked { .. }) {
            tracing::warn!(sink = %sink.label, what = %cause.what, remedy = %cause.remedy, "the sink is blocked; it keeps its place and is probed");
        }
        sink.probes = sink.probes.saturating_add(1);
        sink.failures = sink.failures.saturating_add(1);
        let until = now.instant + self.jitter.probe(sink.probes);
        sink.health = Health::Blocked { since: now.instant, until, probing: false };
        sink.fail(now.wall, cause);
        self.timers.push(Reverse((until, Timer::Sink(flight.sink))));
        self.classify(flight.sink);
    }

    /// Something to show that does not change the sink's health.
    pub(super) fn note(&mut self, flight: &Flight, cause: Cause, now: Moment) {
        let Some(sink) = self.sink_mut(flight.sink) else { return };
        let is_news = sink.is_news(flight);
        if is_news || !matches!(sink.health, Health::Blocked { .. }) {
            sink.fail(now.wall, cause);
        }
        // The attempt was answered: if it was a probe, the sink may go on with the parts.
        if is_news && !matches!(sink.health, Health::Live) {
            sink.health = Health::Live;
            self.wake_sink(flight.sink, now);
        }
        self.classify(flight.sink);
    }

    /// Decides to which half of the memory a sink belongs.
    pub(super) fn classify(&mut self, index: u32) {
        let Some(sink) = self.sinks.get_mut(index as usize).and_then(Option::as_mut) else { return };
        let troubled = sink.failures > 0 || sink.old > 0 || !matches!(sink.health, Health::Live);
        if troubled != sink.troubled {
            sink.troubled = troubled;
            self.memory.reclassify(sink.charged, troubled);
            if troubled {
                // It holds ranges from now on, not buffers.
                for lane in sink.lanes.clone() {
                    self.drop_stash(lane);
                }
            }
        }
    }

    /// Attempts that have been open for long make their sinks troubled.
    pub(super) fn grow_old(&mut self, now: Moment) {
        while let Some((started, number)) = self.young.front().copied() {
            if now.instant.saturating_duration_since(started) < LONG {
                break;
            }
            self.young.pop_front();
            let Some(flight) = self.flights.get_mut(&number) else { continue };
            flight.is_old = true;
            let (sink, serial) = (flight.sink, flight.serial);
            if let Some(row) = self.sink_mut(sink).filter(|row| row.serial == serial) {
                row.old = row.old.saturating_add(1);
                self.classify(sink);
            }
        }
    }

    /// Offers all lanes of a sink that takes deliveries again.
    pub(super) fn wake_sink(&mut self, index: u32, now: Moment) {
        let Some(sink) = self.sink_mut(index) else { return };
        if sink.admission(now.instant) == Admission::No {
            return;
        }
        let waiting = std::mem::take(&mut sink.waiting);
        let lanes = sink.lanes.clone();
        for lane in &waiting {
            if let Some(lane) = self.lane_mut(*lane).filter(|lane| lane.place == Place::Slot) {
                lane.place = Place::Idle;
            }
        }
        for lane in waiting.into_iter().chain(lanes) {
            self.offer(lane, now);
        }
    }

    pub(super) fn fire_timers(&mut self, now: Moment) {
        while let Some(Reverse((at, timer))) = self.timers.peek().copied() {
            if at > now.instant {
                break;
            }
            self.timers.pop();
            match timer {
                Timer::Sink(index) => self.wake_sink(index, now),
                Timer::Confirm(index) => self.ask_for_confirmations(index, now),
                Timer::Lane(index) => {
                    if let Some(lane) = self.lane_mut(index)
                        && lane.read_after.is_some_and(|after| after <= now.instant)
                    {
                        lane.read_after = None;
                        self.check_expired(index, now);
                        self.offer(index, now);
                    }
                }
            }
        }
    }

    fn ask_for_confirmations(&mut self, index: u32, now: Moment) {
        let Some(sink) = self.sink_mut(index) else { return };
        let Target::Ready(target) = &sink.spec.target else { return };
        let target = std::sync::Arc::clone(target);
        let (due, later) =
            std::mem::take(&mut sink.unconfirmed).into_iter().partition(|(at, _)| *at <= now.instant);
        sink.unconfirmed = later;
        let due: Vec<(_, _)> = due;
        if !due.is_empty() {
            self.actions
                .push(Action::Confirm(target, due.into_iter().map(|(_, unconfirmed)| unconfirmed).collect()));
        }
    }
}
