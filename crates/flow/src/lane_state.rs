//! The durable state of a lane: where its sink is in the partition, and what became of everything before.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use event::OrgId;

use crate::fields::{BadField, Fields, put_bytes, put_u32, put_u64};
use crate::log::GapReason;
use crate::units::{Row, RowRange, Seq};

/// Names a sink for the journal: hash of owner and name, the same in every process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SinkId(pub u128);

impl SinkId {
    /// The id of the sink `name` of `owner` (an organisation, or `None` for the operator's shared sinks).
    #[must_use]
    pub fn of(owner: Option<&OrgId>, name: &str) -> Self {
        let owner = owner.map_or("*", OrgId::as_str);
        Self(xxhash_rust::xxh3::xxh3_128(format!("{owner}/{name}").as_bytes()))
    }
}

impl fmt::Display for SinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The right side of the accounting identity, but for what is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Accepted by the far end.
    pub delivered: u64,
    /// Left out by the sink's own filter.
    pub filtered: u64,
    /// Told by a group summary instead (0 until a sink can choose groups).
    pub grouped: u64,
    /// Refused for good and kept as dead letters.
    pub dead_lettered: u64,
    /// Dead letters or pending records that a person discarded.
    pub discarded: u64,
    /// Removed by retention before delivery.
    pub expired: u64,
    /// Lost by damage that the operator accepted.
    pub lost: u64,
}

impl Counts {
    /// Adds another lane's counts.
    pub fn add(&mut self, other: &Self) {
        self.delivered += other.delivered;
        self.filtered += other.filtered;
        self.grouped += other.grouped;
        self.dead_lettered += other.dead_lettered;
        self.discarded += other.discarded;
        self.expired += other.expired;
        self.lost += other.lost;
    }

    /// Everything that is settled.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.delivered
            + self.filtered
            + self.grouped
            + self.dead_lettered
            + self.discarded
            + self.expired
            + self.lost
    }
}

/// Records that are settled although an earlier one is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    /// The rows; those of other organisations may lie between.
    pub rows: RowRange,
    /// How many of them were for this sink: they are in the counts already and no longer pending.
    pub records: u64,
}

/// A gap that the sink has not been told of yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenGap {
    /// The rows.
    pub rows: RowRange,
    /// First and last seq, when the lane is about one organisation.
    pub seqs: Option<(Seq, Seq)>,
    /// How many records of this sink were in it and had not been settled.
    pub count: u64,
    /// Why.
    pub reason: GapReason,
}

/// One lane's durable state. Everything before `next_row` is settled and counted; `settled` rows at or after it too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneState {
    /// The sink.
    pub sink: SinkId,
    /// `organisation/name` or `*/name`, so that the state of a removed sink can be shown.
    pub label: Arc<str>,
    /// Restart point.
    pub next_row: Row,
    /// Ranges at or after `next_row` that are settled already (out-of-order completion), ascending.
    pub resolved: Vec<Resolved>,
    /// Where the lane began.
    pub start_row: Row,
    /// What became of the settled records.
    pub counts: Counts,
    /// For each organisation that had records before `start_row`: the seq of its first record after it. An
    /// organisation that is not listed began at 0. Sent once when the lane is made and in every snapshot.
    pub starts: Option<Vec<(OrgId, Seq)>>,
    /// Gaps still to be told, oldest first.
    pub gaps: Vec<OpenGap>,
    /// Hash of filter, select, encoding and batch limits.
    pub plan_epoch: u64,
    /// Hash of the organisations of this partition that the lane is about, 0 for all: when it differs from what is
    /// configured, the counts begin anew.
    pub scope: u64,
    /// The sink is no longer configured; kept until a person confirms.
    pub removed: bool,
}

/// Lane states on their way into a control block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LaneStates(pub Vec<LaneState>);

/// The version of the encoding below.
const VERSION: u32 = 1;
const HAS_STARTS: u8 = 1;
const REMOVED: u8 = 2;
/// Stands for "no seqs": a first seq after the last.
const NO_SEQS: (Seq, Seq) = (Seq(u64::MAX), Seq(0));

impl LaneStates {
    /// Appends the states, version 1: `u32 version, u32 n`, then each lane with its fields in order.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, VERSION as usize);
        put_u32(out, self.0.len());
        for state in &self.0 {
            state.encode(out);
        }
    }

    /// Reads what [`LaneStates::encode`] wrote.
    ///
    /// # Errors
    /// [`BadField`]: newer, cut short or malformed.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadField> {
        let mut fields = Fields::new(bytes);
        if fields.u32("lane state version")? > VERSION {
            return Err(BadField("lane state of a newer release"));
        }
        let count = fields.u32("number of lanes")?;
        let mut states = Vec::new();
        for _ in 0..count {
            states.push(LaneState::decode(&mut fields)?);
        }
        if fields.is_empty() { Ok(Self(states)) } else { Err(BadField("lane states")) }
    }
}

impl LaneState {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.sink.0.to_le_bytes());
        put_bytes(out, self.label.as_bytes());
        let starts = if self.starts.is_some() { HAS_STARTS } else { 0 };
        let removed = if self.removed { REMOVED } else { 0 };
        out.push(starts | removed);
        put_u64(out, self.next_row.0);
        put_u64(out, self.start_row.0);
        put_u64(out, self.plan_epoch);
        put_u64(out, self.scope);
        let c = &self.counts;
        for count in [c.delivered, c.filtered, c.grouped, c.dead_lettered, c.discarded, c.expired, c.lost] {
            put_u64(out, count);
        }
        put_u32(out, self.resolved.len());
        for resolved in &self.resolved {
            put_u64(out, resolved.rows.start.0);
            put_u64(out, resolved.rows.end.0);
            put_u64(out, resolved.records);
        }
        put_u32(out, self.gaps.len());
        for gap in &self.gaps {
            put_u64(out, gap.rows.start.0);
            put_u64(out, gap.rows.end.0);
            put_u64(out, gap.count);
            let (first, last) = gap.seqs.unwrap_or(NO_SEQS);
            put_u64(out, first.0);
            put_u64(out, last.0);
            out.push(gap.reason as u8);
        }
        if let Some(starts) = &self.starts {
            put_u32(out, starts.len());
            for (org, seq) in starts {
                put_bytes(out, org.as_str().as_bytes());
                put_u64(out, seq.0);
            }
        }
    }

    fn decode(fields: &mut Fields<'_>) -> Result<Self, BadField> {
        let sink = u128::from(fields.u64("sink")?) | (u128::from(fields.u64("sink")?) << 64);
        let label = Arc::from(fields.text("sink label")?);
        let flags = fields.u8("lane flags")?;
        let next_row = Row(fields.u64("next row")?);
        let start_row = Row(fields.u64("start row")?);
        let plan_epoch = fields.u64("plan epoch")?;
        let scope = fields.u64("scope")?;
        let mut count = || fields.u64("count");
        let counts = Counts {
            delivered: count()?,
            filtered: count()?,
            grouped: count()?,
            dead_lettered: count()?,
            discarded: count()?,
            expired: count()?,
            lost: count()?,
        };
        let mut resolved = Vec::new();
        for _ in 0..fields.u32("resolved ranges")? {
            resolved.push(Resolved { rows: row_range(fields)?, records: fields.u64("resolved records")? });
        }
        let mut gaps = Vec::new();
        for _ in 0..fields.u32("gaps")? {
            let rows = row_range(fields)?;
            let count = fields.u64("gap count")?;
            let seqs = (Seq(fields.u64("gap seq")?), Seq(fields.u64("gap seq")?));
            let seqs = (seqs != NO_SEQS).then_some(seqs);
            let reason = match fields.u8("gap reason")? {
                1 => GapReason::Retention,
                2 => GapReason::Corruption,
                _ => return Err(BadField("gap reason")),
            };
            gaps.push(OpenGap { rows, seqs, count, reason });
        }
        let mut starts = None;
        if flags & HAS_STARTS != 0 {
            let mut list = Vec::new();
            for _ in 0..fields.u32("starts")? {
                let org = OrgId::new(fields.text("organisation")?).map_err(|_| BadField("organisation"))?;
                list.push((org, Seq(fields.u64("first seq")?)));
            }
            starts = Some(list);
        }
        let removed = flags & REMOVED != 0;
        Ok(Self {
            sink: SinkId(sink),
            label,
            next_row,
            resolved,
            start_row,
            counts,
            starts,
            gaps,
            plan_epoch,
            scope,
            removed,
        })
    }
}

fn row_range(fields: &mut Fields<'_>) -> Result<RowRange, BadField> {
    Ok(RowRange { start: Row(fields.u64("row")?), end: Row(fields.u64("row")?) })
}
