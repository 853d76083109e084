//! A small partition owner, for tests of what holds blocks: it stamps nothing but seqs and builds real blocks.

use std::collections::BTreeMap;
use std::io;

use event::Kind;
use flow::block::{
    Block, BlockKind, Buffer, Place, RowFacts, RowsBuilder, control_len, padded_control_block,
};
use flow::clock::UnixMillis;
use flow::segment::SegmentIo;
use flow::units::Row;

use crate::writer::Writer;

/// The owner of one partition.
#[derive(Debug)]
pub struct Owner {
    /// What it writes to.
    pub writer: Writer,
    /// The next seq of each organisation.
    pub seqs: BTreeMap<String, u64>,
    /// The row that the next record gets.
    pub next_row: u64,
    /// Every control body since the last complete snapshot, as replay told them.
    pub controls: Vec<Vec<u8>>,
    /// What the next blocks say about when they were written.
    pub now: UnixMillis,
    index: u64,
}

/// Bytes of a snapshot part: small, so that snapshots have several.
const PART: usize = 64;
/// Bytes of what it puts before a record, at most.
const HEAD: usize = 40;

impl Owner {
    /// Replays what the writer's partition holds, then opens a segment with a snapshot.
    ///
    /// # Errors
    /// The file system's.
    pub fn start(writer: Writer, now: UnixMillis) -> io::Result<Self> {
        let mut owner = Self::replay(writer, now)?;
        owner.roll()?;
        Ok(owner)
    }

    /// Replays only.
    ///
    /// # Errors
    /// The file system's.
    pub fn replay(mut writer: Writer, now: UnixMillis) -> io::Result<Self> {
        let mut snapshot = Vec::new();
        let mut state = (BTreeMap::new(), 0, Vec::new(), 0);
        let mut broken = None;
        writer.replay(&mut |block| {
            if let Err(error) = take(block, &mut snapshot, &mut state) {
                broken.get_or_insert(error);
            }
        })?;
        if let Some(error) = broken {
            return Err(error);
        }
        let (mut seqs, next_row, controls, index) = state;
        for next in seqs.values_mut() {
            *next += writer.unknown_rows(Row(0));
        }
        Ok(Self { writer, seqs, next_row, controls, now, index })
    }

    /// Closes the open segment, if any, and publishes a new one with a snapshot.
    ///
    /// # Errors
    /// The file system's.
    pub fn roll(&mut self) -> io::Result<()> {
        self.writer.roll(Row(self.next_row))?;
        let body = serde_json::to_vec(&(&self.seqs, &self.controls))?;
        let bytes = (body.len() / PART + 3) * 200;
        self.writer.reserve(bytes as u64, true).map_err(io::Error::other)?;
        for part in body.chunks(PART) {
            self.write_opaque(BlockKind::Snapshot, part)?;
        }
        self.write_opaque(BlockKind::SnapshotEnd, b"")?;
        self.writer.publish()
    }

    /// Writes one block of records, given as (organisation, text) and sorted here; not durable yet.
    ///
    /// # Errors
    /// The file system's.
    pub fn append(&mut self, records: &[(&str, &[u8])]) -> io::Result<()> {
        let block = self.build(records);
        self.writer.write(&block)?;
        self.next_row += records.len() as u64;
        self.index += 1;
        Ok(())
    }

    /// Builds the block of [`Owner::append`] without writing it.
    pub fn build(&mut self, records: &[(&str, &[u8])]) -> Buffer {
        let mut sorted = records.to_vec();
        sorted.sort_by_key(|(org, _)| *org);
        let groups: Vec<_> = sorted.chunk_by(|a, b| a.0 == b.0).collect();
        let names: usize = groups.iter().filter_map(|group| group.first()).map(|(org, _)| org.len()).sum();
        let bodies: usize = sorted.iter().map(|(_, record)| HEAD + record.len()).sum();
        let mut builder = RowsBuilder::new(Buffer::paged(), groups.len(), sorted.len(), names, bodies);
        for group in groups {
            let Some((org, _)) = group.first() else { continue };
            let seq = self.seqs.entry((*org).to_owned()).or_default();
            builder.run(org, *seq, u32::try_from(group.len()).unwrap_or(u32::MAX));
            for (_, record) in group {
                let head = format!("{{\"v\":1,\"seq\":{seq},");
                builder.row(head.as_bytes(), record, &facts());
                *seq += 1;
            }
        }
        let padding = self.writer.padding(builder.block_len());
        builder.finish_padded(&self.place(), padding)
    }

    /// Writes lane state, or, with an empty body, nothing but the watermark.
    ///
    /// # Errors
    /// The file system's.
    pub fn control(&mut self, body: &[u8]) -> io::Result<()> {
        self.write_opaque(BlockKind::Control, body)?;
        if !body.is_empty() {
            self.controls.push(body.to_vec());
        }
        Ok(())
    }

    /// Makes everything written durable.
    ///
    /// # Errors
    /// The file system's.
    pub fn sync(&mut self) -> io::Result<()> {
        self.writer.sync()
    }

    fn write_opaque(&mut self, kind: BlockKind, body: &[u8]) -> io::Result<()> {
        let padding = self.writer.padding(control_len(body.len()));
        let block = padded_control_block(kind, body, &self.place(), padding);
        self.writer.write(&block)?;
        self.index += 1;
        Ok(())
    }

    fn place(&self) -> Place {
        let tip = self.writer.tip();
        Place {
            epoch: tip.epoch,
            pos: tip.pos,
            durable_upto: tip.durable_upto,
            index: self.index,
            base_row: Row(self.next_row),
            written_at: self.now,
        }
    }
}

fn facts() -> RowFacts {
    RowFacts {
        kind: Kind::ApiCall,
        flags: 0,
        status: 200,
        time_ms: 0,
        app: 0,
        content: 0,
        dedupe: 0,
        group: 0,
        group_first_seq: 0,
    }
}

type State = (BTreeMap<String, u64>, u64, Vec<Vec<u8>>, u64);

fn take(block: &Block, snapshot: &mut Vec<u8>, state: &mut State) -> io::Result<()> {
    let header = block.header();
    // Like the real owner: the snapshot tells the row, then blocks with rows do.
    if matches!(header.kind, BlockKind::Rows | BlockKind::SnapshotEnd) {
        state.1 = header.end_row().0;
    }
    state.3 = header.index + 1;
    match header.kind {
        BlockKind::Snapshot => snapshot.extend_from_slice(block.body()),
        BlockKind::SnapshotEnd => (state.0, state.2) = serde_json::from_slice(snapshot)?,
        BlockKind::Control if header.body_len > 0 => state.2.push(block.body().to_vec()),
        BlockKind::Control => {}
        BlockKind::Rows => {
            for run in block.runs() {
                let next = state.0.entry(run.org.to_owned()).or_default();
                if *next > run.first_seq.0 {
                    return Err(io::Error::other("a seq was given out twice"));
                }
                *next = run.first_seq.0 + u64::from(run.count);
            }
        }
    }
    Ok(())
}
