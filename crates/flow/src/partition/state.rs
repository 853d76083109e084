//! What a partition's owner knows, and how it is restored from the journal: a function of the log's prefix.

use std::collections::BTreeMap;
use std::sync::Arc;

use event::OrgId;
use rustc_hash::FxHashMap;

use super::groups::{self, Groups};
use super::snapshot::Snapshot;
use super::window::Window;
use super::{OwnerFault, OwnerSettings, SnapshotFault};
use crate::block::{Block, BlockKind};
use crate::clock::UnixMillis;
use crate::fields::{BadField, Fields};
use crate::lane_state::{LaneState, LaneStates, SinkId};
use crate::orgs::{Directory, OrgKey};
use crate::segment::SegmentIo;
use crate::units::{PartitionId, Row, Seq};

/// Control body entry: lane states.
pub(super) const LANES: u8 = 1;

/// One organisation's stamp.
#[derive(Debug)]
pub(super) struct OrgState {
    pub(super) id: OrgId,
    pub(super) next: u64,
    /// The row up to which the journal was known to hold all of its records when it was opened.
    known_upto: Row,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) directory: Arc<Directory>,
    pub(super) settings: OwnerSettings,
    pub(super) orgs: FxHashMap<OrgKey, OrgState>,
    pub(super) next_row: u64,
    pub(super) next_index: u64,
    pub(super) window: Window,
    pub(super) groups: Groups,
    pub(super) lanes: BTreeMap<SinkId, LaneState>,
}

impl State {
    fn new(directory: Arc<Directory>, settings: OwnerSettings) -> Self {
        Self {
            directory,
            settings,
            orgs: FxHashMap::default(),
            next_row: 0,
            next_index: 0,
            window: Window::new(settings.window),
            groups: open_groups(settings),
            lanes: BTreeMap::new(),
        }
    }

    /// Replays the journal: the last snapshot, what follows it, and the rows of the duplicate window.
    pub(super) fn restore(
        partition: PartitionId,
        io: &mut dyn SegmentIo,
        directory: Arc<Directory>,
        settings: OwnerSettings,
    ) -> Result<Self, OwnerFault> {
        let read = |error| OwnerFault::Io { partition, doing: "reading the journal", error };
        let mut state = Self::new(directory, settings);
        let mut parts: Vec<u8> = Vec::new();
        let mut fault = None;
        io.replay(&mut |block| {
            if fault.is_none() {
                fault = state.apply(block, &mut parts).err();
            }
        })
        .map_err(read)?;
        if let Some(fault) = fault {
            return Err(OwnerFault::State { partition, fault });
        }
        for org in state.orgs.values_mut() {
            org.next += io.unknown_rows(org.known_upto);
        }
        let start = state.window.start(Row(state.next_row));
        io.replay_rows(start, &mut |block| {
            let base = block.header().base_row.0;
            for index in 0..block.header().rows {
                if let Some(row) = block.row(index).filter(|_| base + u64::from(index) >= start.0) {
                    state.window.remember(Row(base + u64::from(index)), row.dedupe, row.content);
                }
            }
        })
        .map_err(read)?;
        Ok(state)
    }

    pub(super) fn org(&mut self, key: OrgKey) -> &mut OrgState {
        let directory = &self.directory;
        self.orgs.entry(key).or_insert_with(|| {
            let id = directory.id(key);
            debug_assert!(id.is_some(), "prepared rows name organisations of this directory");
            OrgState { id: id.unwrap_or_else(|| directory_hole(key)), next: 0, known_upto: Row(0) }
        })
    }

    /// A lane's later states need not repeat where its organisations began.
    pub(super) fn keep_lane(&mut self, mut state: LaneState) {
        if state.starts.is_none() {
            state.starts = self.lanes.get_mut(&state.sink).and_then(|old| old.starts.take());
        }
        self.lanes.insert(state.sink, state);
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let mut index = FxHashMap::default();
        let mut orgs: Vec<(OrgKey, OrgId, Seq)> =
            self.orgs.iter().map(|(key, org)| (*key, org.id.clone(), Seq(org.next))).collect();
        orgs.sort_by(|a, b| a.1.cmp(&b.1));
        for (at, (key, ..)) in (0u32..).zip(&orgs) {
            index.insert(*key, at);
        }
        // In the order of their use, which decides who closes first.
        let groups: Vec<(u32, u64, groups::Open)> =
            self.groups.iter().filter_map(|(org, key, open)| Some((*index.get(&org)?, key, *open))).collect();
        Snapshot {
            next_row: Row(self.next_row),
            window_start: self.window.start(Row(self.next_row)),
            orgs: orgs.into_iter().map(|(_, id, seq)| (id, seq)).collect(),
            groups,
            lanes: LaneStates(self.lanes.values().cloned().collect()),
        }
    }

    fn apply(&mut self, block: &Block, parts: &mut Vec<u8>) -> Result<(), SnapshotFault> {
        let header = block.header();
        self.next_index = header.index + 1;
        self.groups.received_at(header.written_at.0);
        match header.kind {
            BlockKind::Snapshot => parts.extend_from_slice(block.body()),
            BlockKind::SnapshotEnd => {
                let snapshot = Snapshot::decode(parts, block.body())?;
                parts.clear();
                self.restore_snapshot(snapshot, header.written_at);
            }
            BlockKind::Control => {
                let mut fields = Fields::new(block.body());
                while !fields.is_empty() {
                    let tag = fields.u8("control entry")?;
                    let body = fields.bytes("control entry")?;
                    // Entries of later releases that this one may ignore get a high tag; others a new block version.
                    if tag == LANES {
                        for state in LaneStates::decode(body)?.0 {
                            self.keep_lane(state);
                        }
                    } else if tag < 128 {
                        return Err(BadField("control entry").into());
                    }
                }
            }
            BlockKind::Rows => self.apply_rows(block)?,
        }
        Ok(())
    }

    fn apply_rows(&mut self, block: &Block) -> Result<(), SnapshotFault> {
        for run in block.runs() {
            let id = OrgId::new(run.org).map_err(|_| BadField("organisation"))?;
            let key = self.directory.recall(&id).key;
            let state = self.orgs.entry(key).or_insert(OrgState { id, next: 0, known_upto: Row(0) });
            state.next = run.first_seq.0 + u64::from(run.count);
            state.known_upto = Row(block.header().base_row.0 + u64::from(run.first + run.count));
            for index in run.first..run.first + run.count {
                if let Some(row) = block.row(index).filter(|row| row.group != 0) {
                    let time = row.time_ms.min(block.header().written_at.0);
                    self.groups.observe(key, row.group, row.group_first_seq, time);
                }
            }
        }
        self.next_row = block.header().end_row().0;
        Ok(())
    }

    fn restore_snapshot(&mut self, snapshot: Snapshot, written_at: UnixMillis) {
        self.next_row = snapshot.next_row.0;
        self.orgs.clear();
        self.lanes.clear();
        self.groups = open_groups(self.settings);
        // When each was used last a snapshot does not say: not later than it was taken.
        self.groups.received_at(written_at.0);
        let mut keys = Vec::with_capacity(snapshot.orgs.len());
        for (id, next) in snapshot.orgs {
            let key = self.directory.recall(&id).key;
            keys.push(key);
            self.orgs.insert(key, OrgState { id, next: next.0, known_upto: snapshot.next_row });
        }
        for (org, key, open) in snapshot.groups {
            if let Some(org) = keys.get(org as usize) {
                self.groups.put(*org, key, open);
            }
        }
        for state in snapshot.lanes.0 {
            self.lanes.insert(state.sink, state);
        }
    }
}

fn open_groups(settings: OwnerSettings) -> Groups {
    Groups::new(settings.groups)
}

/// Stands for an organisation that the directory does not know, which cannot be: the number comes from it.
fn directory_hole(key: OrgKey) -> OrgId {
    match OrgId::new(&format!("unknown-{}", key.0)) {
        Ok(id) => id,
        Err(_) => unreachable!("`unknown-` and digits are a valid id"),
    }
}
