//! Checks that nothing is missing, invented, changed or misdelivered among the records that arrived.

use std::collections::BTreeMap;

use flow::clock::UnixMillis;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128;

use crate::ledger::Indexed;
use crate::record::facts;
use crate::scan::Meters;
use crate::settings::Token;

/// One record as it first arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// The raw event's id.
    pub id: String,
    /// Hash of the record's bytes.
    pub hash: u128,
    /// What `fields.prev_seq` said.
    pub prev_seq: Option<u64>,
    /// The channel of the request, see [`Audit::channels`].
    pub channel: u32,
    /// When the head of the request arrived.
    pub began: UnixMillis,
    /// When it was indexed.
    pub at: UnixMillis,
    /// How often in all.
    pub times: u32,
}

/// A record that arrived again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repeat {
    /// The token.
    pub token: String,
    /// The organisation.
    pub org: String,
    /// The number.
    pub seq: u64,
    /// The raw event's id, as it came this time.
    pub id: String,
    /// The channel with which it came first, see [`Audit::channels`].
    pub first_channel: u32,
    /// The channel with which it came again.
    pub again_channel: u32,
    /// When the head of the request arrived with which it came first, milliseconds since 1970.
    pub first_began: i64,
    /// When it was first indexed, milliseconds since 1970.
    pub first_at: i64,
    /// When it came again, milliseconds since 1970.
    pub again_at: i64,
    /// Whether id, bytes and `prev_seq` were the same.
    pub equal: bool,
}

/// A gap that we were told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToldGap {
    /// The token.
    pub token: String,
    /// The organisation, `*` for a shared sink.
    pub org: String,
    /// The record.
    pub record: String,
}

/// All records of one organisation under one token, by `seq`.
pub type Feed = BTreeMap<u64, Arrived>;

/// Everything that arrived.
#[derive(Debug, Default)]
pub struct Audit {
    feeds: BTreeMap<(String, String), Feed>,
    repeats: Vec<Repeat>,
    told_gaps: Vec<ToldGap>,
    foreign: Vec<(String, String)>,
    unreadable: u64,
    channels: Vec<(String, UnixMillis)>,
}

/// At most this many repeats, gaps and foreign records are kept one by one; all are counted.
const LISTED: usize = 1_000_000;

impl Audit {
    /// Takes in one indexed event, and the latencies of its first arrival into `meters`. `token` is what the collector knows of the token,
    /// if it knows it.
    pub fn observe(&mut self, indexed: &Indexed, token: Option<&Token>, meters: &mut Meters) {
        let Some(facts) = facts(&indexed.envelope.event, indexed.envelope.fields.as_deref()) else {
            self.unreadable += 1;
            return;
        };
        if token.is_some_and(|token| !token.allows_org(&facts.org)) && self.foreign.len() < LISTED {
            self.foreign.push((indexed.token.clone(), facts.org.clone()));
        }
        let Some(seq) = facts.seq else {
            if facts.kind == "gap" {
                let record = indexed.envelope.event.clone();
                self.told_gaps.push(ToldGap { token: indexed.token.clone(), org: facts.org, record });
            } else if facts.kind != "heartbeat" {
                self.unreadable += 1;
            }
            return;
        };
        let hash = xxh3_128(indexed.envelope.event.as_bytes());
        let org = facts.org.clone();
        let feed = self.feeds.entry((indexed.token.clone(), facts.org)).or_default();
        let Some(first) = feed.get_mut(&seq) else {
            if let Some(received_at) = facts.received_at {
                meters.from_ingest.add(received_at, indexed.at);
            }
            if let Some(time) = indexed.envelope.time.as_deref().and_then(envelope_millis) {
                meters.from_event.add(time, indexed.at);
            }
            let prev_seq = facts.prev_seq;
            feed.insert(
                seq,
                Arrived {
                    id: facts.id,
                    hash,
                    prev_seq,
                    channel: indexed.channel,
                    began: indexed.began,
                    at: indexed.at,
                    times: 1,
                },
            );
            return;
        };
        first.times = first.times.saturating_add(1);
        let equal = first.hash == hash && first.id == facts.id && first.prev_seq == facts.prev_seq;
        let (first_channel, first_began, first_at) = (first.channel, first.began.0, first.at.0);
        if self.repeats.len() < LISTED || !equal {
            let token = indexed.token.clone();
            self.repeats.push(Repeat {
                token,
                org,
                seq,
                id: facts.id,
                first_channel,
                again_channel: indexed.channel,
                first_began,
                first_at,
                again_at: indexed.at.0,
                equal,
            });
        }
    }

    /// The number of a channel of which a request began to arrive now.
    pub(crate) fn channel(&mut self, id: &str, began: UnixMillis) -> u32 {
        // The newest are in use.
        let known = self.channels.iter().rposition(|(known, _)| known == id);
        let number = known.unwrap_or_else(|| {
            self.channels.push((id.to_owned(), began));
            self.channels.len() - 1
        });
        if let Some((_, first)) = self.channels.get_mut(number) {
            *first = (*first).min(began);
        }
        u32::try_from(number).unwrap_or(u32::MAX)
    }

    /// When the first request on each channel began to arrive. A sender makes a channel up when it starts, so it tells
    /// one life of it from the next.
    pub fn channels(&self) -> impl Iterator<Item = UnixMillis> {
        self.channels.iter().map(|(_, first)| *first)
    }

    /// The records of one organisation under one token.
    #[must_use]
    pub fn feed(&self, token: &str, org: &str) -> Option<&Feed> {
        self.feeds.get(&(token.to_owned(), org.to_owned()))
    }

    /// All feeds: token, organisation, records.
    pub fn feeds(&self) -> impl Iterator<Item = (&str, &str, &Feed)> {
        self.feeds.iter().map(|((token, org), feed)| (token.as_str(), org.as_str(), feed))
    }

    /// What arrived more than once, in order.
    #[must_use]
    pub fn repeats(&self) -> &[Repeat] {
        &self.repeats
    }

    /// Distinct records over all feeds.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.feeds.values().map(|feed| feed.len() as u64).sum()
    }

    pub(crate) fn foreign_count(&self) -> u64 {
        self.foreign.len() as u64
    }

    /// Judges what has arrived so far. What is still on its way shows as missing, so ask when all is delivered.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut feeds: Vec<_> =
            self.feeds.iter().map(|((token, org), feed)| judge(token, org, feed)).collect();
        for repeat in &self.repeats {
            let place = feeds.binary_search_by(|feed| {
                (feed.token.as_str(), feed.org.as_str()).cmp(&(repeat.token.as_str(), repeat.org.as_str()))
            });
            if let Some(feed) = place.ok().and_then(|at| feeds.get_mut(at)) {
                *(if repeat.equal { &mut feed.repeats_equal } else { &mut feed.repeats_unequal }) += 1;
            }
        }
        Report {
            feeds,
            foreign: self.foreign.clone(),
            unreadable: self.unreadable,
            told_gaps: self.told_gaps.clone(),
        }
    }
}

/// The judgement of all feeds.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// By token and organisation.
    pub feeds: Vec<FeedReport>,
    /// Records under a token that may not carry their organisation: token and organisation.
    pub foreign: Vec<(String, String)>,
    /// Events that are no record of ours.
    pub unreadable: u64,
    /// Gaps that we were told of.
    pub told_gaps: Vec<ToldGap>,
}

/// The judgement of one feed.
#[derive(Debug, Clone, Serialize)]
pub struct FeedReport {
    /// The token.
    pub token: String,
    /// The organisation.
    pub org: String,
    /// Distinct records.
    pub records: u64,
    /// The lowest seq.
    pub first_seq: u64,
    /// The highest seq.
    pub last_seq: u64,
    /// Missing seqs between them, first and last of each range.
    pub missing: Vec<(u64, u64)>,
    /// Records that came again unchanged, counted each time.
    pub repeats_equal: u64,
    /// Records that came again with another id, other bytes or another `prev_seq`.
    pub repeats_unequal: u64,
    /// Ids that came under two seqs.
    pub ids_twice: Vec<String>,
    /// Where `prev_seq` does not name the record before.
    pub wrong_prev_seq: Vec<WrongPrev>,
}

/// A `prev_seq` that does not name the record before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WrongPrev {
    /// The record.
    pub seq: u64,
    /// What it says.
    pub said: Option<u64>,
    /// The record before it that arrived.
    pub before: Option<u64>,
}

impl Report {
    /// Distinct records over all feeds.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.feeds.iter().map(|feed| feed.records).sum()
    }

    /// Seqs that never came, over all feeds.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.feeds.iter().flat_map(|feed| &feed.missing).map(|(first, last)| last - first + 1).sum()
    }

    /// Everything that must never happen, in words; repeats of equal records may.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let mut all = Vec::new();
        for feed in &self.feeds {
            let FeedReport { token, org, .. } = feed;
            let who = format!("organisation {org} under token {token}");
            all.extend(
                feed.missing.iter().map(|(first, last)| format!("{who}: seq {first} to {last} never came")),
            );
            all.extend(feed.ids_twice.iter().map(|id| format!("{who}: id {id} came under two seqs")));
            all.extend(feed.wrong_prev_seq.iter().map(|wrong| {
                let named =
                    |seq: Option<u64>| seq.map_or_else(|| "none".to_owned(), |seq| format!("seq {seq}"));
                let (said, before) = (named(wrong.said), named(wrong.before));
                format!(
                    "{who}: seq {} names {said} as the one before it, and {before} came before it",
                    wrong.seq
                )
            }));
            if feed.repeats_unequal > 0 {
                all.push(format!("{who}: {} records came again changed", feed.repeats_unequal));
            }
        }
        all.extend(
            self.foreign.iter().map(|(token, org)| format!("token {token} was given records of {org}")),
        );
        if self.unreadable > 0 {
            all.push(format!("{} events are no records", self.unreadable));
        }
        all
    }
}

fn judge(token: &str, org: &str, feed: &Feed) -> FeedReport {
    let mut missing = Vec::new();
    let mut wrong_prev_seq = Vec::new();
    let mut before = None;
    for (seq, arrived) in feed {
        if let Some(before) = before
            && *seq > before + 1
        {
            missing.push((before + 1, seq - 1));
        }
        if arrived.prev_seq != before {
            wrong_prev_seq.push(WrongPrev { seq: *seq, said: arrived.prev_seq, before });
        }
        before = Some(*seq);
    }
    let mut ids: Vec<&str> = feed.values().map(|arrived| arrived.id.as_str()).collect();
    ids.sort_unstable();
    let mut ids_twice: Vec<String> = ids
        .windows(2)
        .filter_map(|pair| (pair.first() == pair.last()).then(|| pair.first())?)
        .map(|id| (*id).to_owned())
        .collect();
    ids_twice.dedup();
    FeedReport {
        token: token.to_owned(),
        org: org.to_owned(),
        records: feed.len() as u64,
        first_seq: feed.first_key_value().map_or(0, |(seq, _)| *seq),
        last_seq: before.unwrap_or(0),
        missing,
        repeats_equal: 0,
        repeats_unequal: 0,
        ids_twice,
        wrong_prev_seq,
    }
}

/// `<seconds>.<fraction>` as milliseconds.
fn envelope_millis(text: &str) -> Option<i64> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let millis = fraction.bytes().chain(std::iter::repeat(b'0')).take(3).map(char::from).collect::<String>();
    let millis: i64 = millis.parse().ok()?;
    let whole = seconds.parse::<i64>().ok()?.checked_mul(1_000)?;
    Some(if text.starts_with('-') { whole - millis } else { whole + millis })
}

#[cfg(test)]
mod tests;
