//! What all connections share: settings, script, and what was seen.

use std::collections::{BTreeSet, VecDeque};

use flow::clock::Clock;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::acks::AckBook;
use crate::audit::Audit;
use crate::fault::Fault;
use crate::ledger::{Indexed, RequestNote, Totals};
use crate::protocol::Judgement;
use crate::scan::{Meters, Scanner, Tally};
use crate::settings::{Keep, Settings};

/// A header that tells the sender's lives apart.
const CHANNEL: &str = "x-splunk-request-channel";

/// What all connections share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) settings: RwLock<Settings>,
    pub(crate) script: Mutex<Script>,
    pub(crate) acks: Mutex<AckBook>,
    pub(crate) seen: Mutex<Seen>,
    pub(crate) paused: watch::Sender<bool>,
    pub(crate) progress: watch::Sender<u64>,
    pub(crate) clock: Clock,
    scanner: Scanner,
}

/// Faults to come.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) next: VecDeque<Fault>,
    pub(crate) always: Option<Fault>,
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) indexed: Vec<Indexed>,
    pub(crate) requests: Vec<RequestNote>,
    pub(crate) audit: Audit,
    request_count: u64,
    event_count: u64,
    wire_bytes: u64,
    foreign: u64,
    meters: Meters,
}

impl Seen {
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            requests: self.request_count,
            events: self.event_count,
            wire_bytes: self.wire_bytes,
            foreign: self.foreign + self.audit.foreign_count(),
            from_ingest: self.meters.from_ingest.latency(),
            from_event: self.meters.from_event.latency(),
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl State {
    pub(crate) fn new(settings: Settings, clock: Clock) -> Self {
        Self {
            settings: RwLock::new(settings),
            script: Mutex::default(),
            acks: Mutex::default(),
            seen: Mutex::default(),
            paused: watch::Sender::new(false),
            progress: watch::Sender::new(0),
            clock,
            scanner: Scanner::default(),
        }
    }

    /// Takes note that a request has come; its number.
    pub(crate) fn arrived(&self) -> u64 {
        let number = {
            let mut seen = self.seen.lock();
            seen.request_count += 1;
            seen.request_count - 1
        };
        self.progress.send_modify(|_| ());
        number
    }

    /// Looks through the next piece of a body that is only counted.
    pub(crate) fn scan(&self, piece: &[u8], orgs: Option<&BTreeSet<String>>, tally: &mut Tally) {
        let now = self.clock.now().wall;
        self.scanner.frame(piece, orgs, now, tally, &mut self.seen.lock().meters);
    }

    /// Enters a body that was only counted.
    pub(crate) fn enter_counts(&self, tally: &Tally, wire_bytes: u64) {
        let events = {
            let mut seen = self.seen.lock();
            seen.wire_bytes += wire_bytes;
            seen.event_count += tally.events();
            seen.foreign += tally.foreign;
            seen.event_count
        };
        self.progress.send_modify(|progress| *progress = events);
    }

    /// What to do with the next request.
    pub(crate) fn next_fault(&self) -> Fault {
        let mut script = self.script.lock();
        script.next.pop_front().or_else(|| script.always.clone()).unwrap_or_default()
    }

    /// Enters a judged request into what was seen, and lets waiters look.
    pub(crate) fn enter(&self, mut note: RequestNote, judgement: Judgement, wire_bytes: usize) {
        let settings = self.settings.read();
        let token = settings.find_token(&note.token);
        let at = self.clock.now().wall;
        let mut seen = self.seen.lock();
        let seen = &mut *seen;
        seen.wire_bytes += wire_bytes as u64;
        note.wire_bytes = wire_bytes;
        note.plain_bytes = judgement.plain_bytes;
        note.indexed = judgement.indexed.len() as u64;
        seen.event_count += note.indexed;
        let channel = note.headers.iter().find(|(name, _)| name == CHANNEL).map_or("", |(_, id)| id.as_str());
        let channel = seen.audit.channel(channel, note.at);
        for envelope in judgement.indexed {
            let (request, began, secret) = (note.number, note.at, note.token.clone());
            let indexed = Indexed { request, token: secret, envelope, channel, began, at };
            seen.audit.observe(&indexed, token, &mut seen.meters);
            if settings.keep == Keep::Everything {
                seen.indexed.push(indexed);
            }
        }
        if settings.keep == Keep::Everything {
            seen.requests.push(note);
        }
        let events = seen.event_count;
        self.progress.send_modify(|progress| *progress = events);
    }
}
