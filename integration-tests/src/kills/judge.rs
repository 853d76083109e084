//! What must hold after the daemon was killed again and again. Pure functions that return complaints, so that their own
//! tests can see them complain.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};

use receiver::Audit;
use receiver::audit::{Arrived, Feed, Repeat};
use serde_json::Value;

use crate::canary;
use crate::workspace::{self, ORGS, SHARED_TOKEN};

/// What was settled this long before a kill may come again.
pub const REPEAT_WINDOW_MS: i64 = 300;
/// The receiver's answer needs this long, at most, to become a settled delivery on a busy machine; and what the kernel had
/// taken over at the kill reaches the receiver within it.
pub const WAY_BACK_MS: i64 = 200;

/// What one sink's far end got, and what the sink's accounts say.
#[derive(Debug, Clone)]
pub struct SinkBooks {
    /// The organisation (its place in [`ORGS`]); `None` for the shared sink.
    pub owner: Option<usize>,
    /// Whether records may have expired before it got them.
    pub may_expire: bool,
    /// What arrived, per organisation.
    pub feeds: Vec<Feed>,
    /// What arrived again.
    pub repeats: Vec<Repeat>,
    /// When the first request on each channel began to arrive.
    pub channels: Vec<i64>,
    /// What it was told to be lost.
    pub gaps: Vec<Gap>,
    /// Its entry of the status page.
    pub accounts: Value,
}

/// A gap as it was told.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Gap {
    /// The first and the last seq, where they are known.
    pub seqs: Option<(u64, u64)>,
    /// How many records.
    pub count: u64,
    /// The first and the last row.
    pub rows: (u64, u64),
    /// Why.
    pub reason: String,
}

impl Gap {
    /// Reads the record.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn read(record: &str) -> Self {
        let gap: Value = serde_json::from_str(record).unwrap();
        let number = |name: &str| gap[name].as_u64();
        Self {
            seqs: number("first_seq").zip(number("last_seq")),
            count: number("count").unwrap(),
            rows: number("first_row").zip(number("last_row")).unwrap(),
            reason: gap["reason"].as_str().unwrap().to_owned(),
        }
    }
}

impl SinkBooks {
    /// From what a receiver has seen and a status page.
    #[must_use]
    pub fn new(owner: Option<usize>, may_expire: bool, audit: &Audit, status: &Value) -> Self {
        let token = owner.map_or_else(|| SHARED_TOKEN.to_owned(), |org| workspace::token(ORGS[org].0));
        let feeds = ORGS.iter().map(|(_, id)| audit.feed(&token, id).cloned().unwrap_or_default()).collect();
        let repeats = audit.repeats().iter().filter(|repeat| repeat.token == token).cloned().collect();
        let told = audit.report().told_gaps;
        let gaps = told.iter().filter(|gap| gap.token == token).map(|gap| Gap::read(&gap.record)).collect();
        let accounts = entry(status, owner).cloned().unwrap_or_default();
        let channels = audit.channels().map(|first| first.0).collect();
        Self { owner, may_expire, feeds, repeats, channels, gaps, accounts }
    }

    fn name(&self) -> String {
        self.owner.map_or_else(|| "the shared sink".to_owned(), |org| format!("the sink of {}", ORGS[org].0))
    }

    fn orgs(&self) -> impl Iterator<Item = usize> {
        let owner = self.owner;
        (0..ORGS.len()).filter(move |org| owner.is_none_or(|owner| owner == *org))
    }

    fn term(&self, name: &str) -> u64 {
        self.accounts[name].as_u64().unwrap_or(u64::MAX / 16)
    }
}

fn entry(status: &Value, owner: Option<usize>) -> Option<&Value> {
    let id = owner.map(|org| ORGS[org].1);
    status["sinks"].as_array()?.iter().find(|sink| sink["org"].as_str() == id)
}

/// Of a status page right after a start: everything that was acknowledged is there, the accounts balance, and nothing
/// counts as delivered that the far end has not got. `arrived` says how many different records each sink's far end has.
#[must_use]
pub fn after_a_start(
    status: &Value,
    acknowledged: [u64; ORGS.len()],
    sinks: &[(Option<usize>, bool, u64)],
) -> Vec<String> {
    let mut complaints = Vec::new();
    for (owner, may_expire, arrived) in sinks {
        let Some(sink) = entry(status, *owner) else {
            complaints.push(format!("the sink of {owner:?} is not in the status: {status}"));
            continue;
        };
        complaints.extend(unbalanced(sink));
        let term = |name: &str| sink[name].as_u64().unwrap_or(0);
        let wanted: u64 = owner.map_or(acknowledged.iter().sum(), |org| acknowledged[org]);
        if term("stamped") < wanted {
            complaints
                .push(format!("{wanted} were acknowledged, and only {} are there: {sink}", term("stamped")));
        }
        if term("delivered") > *arrived {
            complaints.push(format!("{arrived} have arrived, and more count as delivered: {sink}"));
        }
        if term("expired") > 0 && !may_expire {
            complaints.push(format!("nothing can have expired: {sink}"));
        }
    }
    complaints
}

/// Whether an entry of the status page does not balance.
fn unbalanced(sink: &Value) -> Option<String> {
    let term = |name: &str| sink[name].as_u64().ok_or_else(|| format!("{name} is missing: {sink}"));
    let balance = || -> Result<bool, String> {
        let right =
            ["delivered", "filtered", "grouped", "dead_lettered", "discarded", "expired", "lost", "pending"];
        let right: u64 = right.into_iter().map(term).sum::<Result<u64, String>>()?;
        Ok(term("stamped")?.checked_sub(term("start")?) == Some(right))
    };
    match balance() {
        Ok(true) => None,
        Ok(false) => Some(format!("the identity does not balance: {sink}")),
        Err(missing) => Some(missing),
    }
}

/// At the end, when all that was sent is acknowledged and nothing is pending. `kills` in milliseconds since 1970.
#[must_use]
pub fn at_the_end(
    sinks: &[SinkBooks],
    acknowledged: &HashMap<String, usize>,
    sent: &HashMap<String, usize>,
    kills: &[i64],
) -> Vec<String> {
    let mut complaints = Vec::new();
    if acknowledged.len() != sent.len() {
        complaints.push(format!("{} were sent and {} acknowledged", sent.len(), acknowledged.len()));
    }
    if acknowledged.is_empty() {
        complaints.push("nothing was acknowledged: there is nothing to judge".to_owned());
    }
    for sink in sinks {
        let name = sink.name();
        let ends = Ends { kills, channels: &sink.channels };
        let mut of_sink = Vec::new();
        let mut missing = Vec::new();
        for org in sink.orgs() {
            of_feed(sink, org, acknowledged, sent, &mut of_sink, &mut missing);
        }
        for org in (0..ORGS.len()).filter(|org| !sink.orgs().any(|own| own == *org)) {
            if sink.feeds.get(org).is_some_and(|feed| !feed.is_empty()) {
                of_sink.push(format!("it got records of {}", ORGS[org].0));
            }
        }
        of_gaps(sink, &missing, &ends, &mut of_sink);
        of_accounts(sink, acknowledged, missing.len() as u64, &mut of_sink);
        of_sink.extend(sink.repeats.iter().filter_map(|repeat| of_repeat(repeat, &ends)));
        complaints.extend(of_sink.into_iter().map(|what| format!("{name}: {what}")));
    }
    complaints
}

/// Records of one organisation under one sink.
fn of_feed(
    sink: &SinkBooks,
    org: usize,
    acknowledged: &HashMap<String, usize>,
    sent: &HashMap<String, usize>,
    complaints: &mut Vec<String>,
    missing: &mut Vec<u64>,
) {
    let feed = &sink.feeds[org];
    let mut ids: HashSet<&str> = HashSet::with_capacity(feed.len());
    for (seq, arrived) in feed {
        if sent.get(&arrived.id) != Some(&org) {
            complaints.push(format!("invented or foreign: {}", arrived.id));
        }
        if !ids.insert(&arrived.id) {
            complaints.push(format!("{} has two seqs", arrived.id));
        }
        if arrived.prev_seq != seq.checked_sub(1) {
            complaints.push(format!("prev_seq of {seq} is {:?}", arrived.prev_seq));
        }
    }
    // Every id was stamped once, so there are as many seqs as ids, from 0, without a hole.
    let stamped = acknowledged.values().filter(|of| **of == org).count() as u64;
    if let Some((last, _)) = feed.last_key_value().filter(|(last, _)| **last >= stamped) {
        complaints.push(format!("seq {last} of only {stamped} acknowledged events of {}", ORGS[org].0));
    }
    let absent: Vec<u64> = (0..stamped).filter(|seq| !feed.contains_key(seq)).collect();
    let lost = acknowledged.iter().filter(|(id, of)| **of == org && !ids.contains(id.as_str()));
    let lost: Vec<&String> = lost.map(|(id, _)| id).collect();
    if lost.len() != absent.len() || (!sink.may_expire && !lost.is_empty()) {
        complaints.push(format!(
            "acknowledged and lost: {} ids of {} such as {:?}; absent seqs: {} such as {:?}",
            lost.len(),
            ORGS[org].0,
            lost.first(),
            absent.len(),
            absent.first()
        ));
    }
    missing.extend(absent);
}

/// What is missing was told; and what was told is missing, or was on its way when the process was killed.
fn of_gaps(sink: &SinkBooks, missing: &[u64], ends: &Ends<'_>, complaints: &mut Vec<String>) {
    if !sink.may_expire && !sink.gaps.is_empty() {
        complaints.push(format!("nothing expired, and yet a gap was told: {:?}", sink.gaps.first()));
    }
    let distinct: HashSet<&Gap> = sink.gaps.iter().collect();
    for gap in &distinct {
        if gap.reason != "retention" {
            complaints.push(format!("a gap for another reason than retention: {gap:?}"));
        }
        if gap.seqs.is_some_and(|(first, last)| last.checked_sub(first) != gap.count.checked_sub(1)) {
            complaints.push(format!("a gap that counts wrong: {gap:?}"));
        }
    }
    let exact: BTreeSet<u64> =
        distinct.iter().filter_map(|gap| gap.seqs).flat_map(|(first, last)| first..=last).collect();
    let vague: u64 = distinct.iter().filter(|gap| gap.seqs.is_none()).map(|gap| gap.count).sum();
    let untold: Vec<u64> = missing.iter().copied().filter(|seq| !exact.contains(seq)).collect();
    if untold.len() as u64 > vague {
        complaints.push(format!(
            "{} records are missing untold, such as {:?}: {:?}",
            untold.len(),
            untold.first(),
            sink.gaps
        ));
    }
    if (exact.len() as u64).saturating_add(vague) < sink.term("expired") {
        complaints.push(format!("more has expired than was told: {:?} {}", sink.gaps, sink.accounts));
    }
    if let Some(owner) = sink.owner {
        let feed = &sink.feeds[owner];
        let told = exact.iter().filter_map(|seq| Some((seq, feed.get(seq)?)));
        let unexplained =
            |arrived: &Arrived| !ends.explain(arrived.channel, (arrived.began.0, arrived.at.0), i64::MAX);
        for (seq, arrived) in told.filter(|(_, arrived)| unexplained(arrived)) {
            complaints.push(format!("seq {seq} was delivered at {} and told as lost", arrived.at.0));
        }
    }
}

fn of_accounts(
    sink: &SinkBooks,
    acknowledged: &HashMap<String, usize>,
    missing: u64,
    complaints: &mut Vec<String>,
) {
    complaints.extend(unbalanced(&sink.accounts));
    let wanted = acknowledged.values().filter(|org| sink.owner.is_none_or(|owner| owner == **org)).count();
    if sink.term("stamped") != wanted as u64 || sink.term("start") != 0 {
        complaints.push(format!("{wanted} were acknowledged: {}", sink.accounts));
    }
    if sink.term("delivered").saturating_add(sink.term("expired")) != wanted as u64 {
        complaints.push(format!("{wanted} should be delivered or expired: {}", sink.accounts));
    }
    if missing > sink.term("expired") || (!sink.may_expire && sink.term("expired") > 0) {
        complaints.push(format!("{missing} records are missing: {}", sink.accounts));
    }
}

/// When a life of the daemon was ended, and what it had sent then.
struct Ends<'a> {
    kills: &'a [i64],
    /// When the first request of each life arrived.
    channels: &'a [i64],
}

impl Ends<'_> {
    /// Whether what came on this channel, with a request that began to arrive at `began` and was taken in at `at`, may
    /// come again at `again_at`: the kill that ended that life found it in flight or just settled.
    fn explain(&self, channel: u32, (began, at): (i64, i64), again_at: i64) -> bool {
        let latest = at + REPEAT_WINDOW_MS + WAY_BACK_MS;
        // A life was ended by the first kill after its first request arrived. When the receiver is so busy that a life's
        // first request is read after its end, the request itself tells when it was in flight.
        let begun = self.channels.get(channel as usize).copied().unwrap_or(i64::MAX);
        let end = self.kills.iter().copied().filter(|kill| *kill >= begun).min();
        let in_flight =
            self.kills.iter().any(|kill| (began - WAY_BACK_MS..=latest).contains(kill) && *kill <= again_at);
        end.is_some_and(|end| end <= latest && end <= again_at) || in_flight
    }
}

fn of_repeat(repeat: &Repeat, ends: &Ends<'_>) -> Option<String> {
    if !repeat.equal {
        return Some(format!("a repeat differs: {repeat:?}"));
    }
    if repeat.first_channel == repeat.again_channel {
        return Some(format!("repeated by the same life: {repeat:?}"));
    }
    if ends.explain(repeat.first_channel, (repeat.first_began, repeat.first_at), repeat.again_at) {
        return None;
    }
    let kills = ends.kills;
    let near: Vec<i64> =
        kills.iter().map(|kill| kill - repeat.first_at).filter(|ms| (-3000..3000).contains(ms)).collect();
    Some(format!("repeated without a kill shortly after it came first (kills at {near:?} ms): {repeat:?}"))
}

/// Compares what arrived with what was sent, member by member.
#[derive(Debug)]
pub struct Payloads {
    time: String,
    /// What every record of an organisation holds besides what is its own.
    templates: [Option<Value>; ORGS.len()],
    /// How many were compared.
    pub compared: u64,
}

/// Members that a record takes over as they are.
const KEPT: [&str; 14] = [
    "/kind",
    "/time",
    "/org_id",
    "/site",
    "/product",
    "/app/id",
    "/app/key",
    "/app/kind",
    "/actor/acting_as",
    "/actor/credential",
    "/client/origin",
    "/request/method",
    "/response/status",
    "/response/bytes",
];

impl Payloads {
    /// Of a load whose events carry `time`.
    #[must_use]
    pub fn new(time: &str) -> Self {
        Self { time: time.to_owned(), templates: [const { None }; ORGS.len()], compared: 0 }
    }

    /// What is wrong with a record; gaps are judged elsewhere.
    pub fn complaint(&mut self, mut record: Value) -> Option<String> {
        if record["kind"] == "gap" {
            return None;
        }
        self.compared += 1;
        let place = ORGS.iter().position(|(_, id)| record["org_id"] == *id);
        let (Some(place), Some(id)) = (place, record["id"].as_str().map(str::to_owned)) else {
            return Some(format!("a record of nobody: {record}"));
        };
        let org = ORGS[place];
        if record["request"]["id"] != canary::mark(org.0, &id) {
            return Some(format!("the payload is another's: {record}"));
        }
        let members = record.as_object_mut()?;
        let own = ["seq", "received_at", "id"].map(|name| members.remove(name));
        if own.iter().any(Option::is_none) {
            return Some(format!("seq, id or received_at is missing: {record}"));
        }
        if let Some(request) = record["request"].as_object_mut() {
            request.remove("id");
        }
        match &self.templates[place] {
            Some(template) if *template == record => None,
            Some(template) => Some(format!("the payload changed: {record} is not {template}")),
            None => {
                let raw: Value = serde_json::from_str(&canary::event(org, &id, &self.time)).unwrap();
                let changed = KEPT.into_iter().find(|member| record.pointer(member) != raw.pointer(member));
                let told = changed.map(|member| format!("{member} changed: {record} of {raw}"));
                let duration = record["duration_us"] != 1500;
                self.templates[place] = Some(record);
                told.or_else(|| duration.then(|| "duration_us changed".to_owned()))
            }
        }
    }
}
