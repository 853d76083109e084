//! Building blocks: one contiguous buffer, written with one call.

use event::Kind;

use super::{BlockKind, Buffer, HEADER_LEN, MAGIC, Place, ROW_LEN, RUN_LEN, VERSION, padded};

/// What a row's entry says besides where its record is.
#[derive(Debug, Clone, Copy)]
pub struct RowFacts {
    /// The kind.
    pub kind: Kind,
    /// Bit 0: `id_reused`.
    pub flags: u8,
    /// HTTP status or 0.
    pub status: u16,
    /// The event's time, milliseconds since 1970.
    pub time_ms: i64,
    /// Hash of the app or 0.
    pub app: u64,
    /// Keyed hash of the tail without `received_at`.
    pub content: u64,
    /// Keyed hash of (organisation, producer, id).
    pub dedupe: u128,
    /// Keyed hash of (app, declared group key), or 0.
    pub group: u64,
    /// The first seq of the open group that the row belongs to; meaningless when `group` is 0.
    pub group_first_seq: u64,
}

/// Builds a block of records. The caller brings rows sorted by organisation and knows their number beforehand.
#[derive(Debug)]
pub struct RowsBuilder {
    buffer: Buffer,
    runs: usize,
    rows: usize,
    names_at: usize,
    rows_at: usize,
    body_at: usize,
    next_run: usize,
    next_name: usize,
    next_row: usize,
}

impl RowsBuilder {
    /// The bytes that a block of this shape may take, without padding.
    #[must_use]
    pub const fn room(runs: usize, rows: usize, names_len: usize, body_len: usize) -> usize {
        padded(HEADER_LEN + runs * RUN_LEN + names_len) + rows * ROW_LEN + padded(body_len)
    }

    /// Starts a block in `buffer` (its content is dropped, its capacity kept) with room for exactly `runs` runs,
    /// `rows` rows and `names_len` bytes of organisation ids.
    #[must_use]
    pub fn new(
        buffer: impl Into<Buffer>,
        runs: usize,
        rows: usize,
        names_len: usize,
        body_hint: usize,
    ) -> Self {
        let names_at = HEADER_LEN + runs * RUN_LEN;
        let rows_at = padded(names_at + names_len);
        let body_at = rows_at + rows * ROW_LEN;
        let mut buffer = buffer.into();
        buffer.begin(Self::room(runs, rows, names_len, body_hint));
        buffer.resize(body_at);
        Self { buffer, runs, rows, names_at, rows_at, body_at, next_run: 0, next_name: 0, next_row: 0 }
    }

    /// Opens the run of the next organisation: the rows that follow belong to it.
    pub fn run(&mut self, org: &str, first_seq: u64, count: u32) {
        let at = HEADER_LEN + self.next_run * RUN_LEN;
        let name_at = self.names_at + self.next_name;
        debug_assert!(self.next_run < self.runs && name_at + org.len() <= self.rows_at);
        put(&mut self.buffer, at, &first_seq.to_le_bytes());
        put(&mut self.buffer, at + 8, &low_u32(self.next_row).to_le_bytes());
        put(&mut self.buffer, at + 12, &count.to_le_bytes());
        put(&mut self.buffer, at + 16, &low_u32(self.next_name).to_le_bytes());
        put(&mut self.buffer, at + 20, &low_u32(org.len()).to_le_bytes());
        put(&mut self.buffer, name_at, org.as_bytes());
        self.next_run += 1;
        self.next_name += org.len();
    }

    /// Appends a record: `head` and `tail` are its bytes, side by side.
    pub fn row(&mut self, head: &[u8], tail: &[u8], facts: &RowFacts) {
        debug_assert!(self.next_row < self.rows);
        let start = self.buffer.len();
        self.buffer.extend(head);
        self.buffer.extend(tail);
        let crc = crc32c::crc32c(self.buffer.get(start..).unwrap_or_default());
        let mut entry = [0u8; ROW_LEN];
        let mut at = 0;
        let mut add = |bytes: &[u8]| {
            put(&mut entry, at, bytes);
            at += bytes.len();
        };
        add(&low_u32(start - self.body_at).to_le_bytes());
        add(&low_u32(head.len() + tail.len()).to_le_bytes());
        add(&crc.to_le_bytes());
        add(&[facts.kind as u8, facts.flags]);
        add(&facts.status.to_le_bytes());
        add(&facts.time_ms.to_le_bytes());
        add(&facts.app.to_le_bytes());
        add(&facts.content.to_le_bytes());
        add(&facts.dedupe.to_le_bytes());
        add(&facts.group.to_le_bytes());
        add(&facts.group_first_seq.to_le_bytes());
        // The last 8 bytes are reserved for effect, admin, origin and operation, zero until they are known.
        put(&mut self.buffer, self.rows_at + self.next_row * ROW_LEN, &entry);
        self.next_row += 1;
    }

    /// The bytes of the block as it stands, without padding.
    #[must_use]
    pub fn block_len(&self) -> usize {
        padded(self.buffer.len())
    }

    /// Fills in the header and gives the finished block.
    #[must_use]
    pub fn finish(self, place: &Place) -> Buffer {
        self.finish_padded(place, 0)
    }

    /// The same with `padding` zeros behind it: a multiple of [`super::ALIGN`] below [`super::PAGE`].
    #[must_use]
    pub fn finish_padded(mut self, place: &Place, padding: usize) -> Buffer {
        debug_assert!(self.next_row == self.rows && self.next_run == self.runs);
        let body_len = self.buffer.len() - self.body_at;
        self.buffer.resize(self.block_len() + padding);
        let shape = Shape {
            kind: BlockKind::Rows,
            table_len: low_u32(self.body_at - HEADER_LEN),
            rows: low_u32(self.rows),
            runs: low_u32(self.runs),
            body_len: low_u32(body_len),
            body_crc: 0,
            padding: low_u32(padding),
        };
        write_header(&mut self.buffer, self.body_at, &shape, place);
        self.buffer
    }
}

/// The bytes of a block around an opaque body, without padding.
#[must_use]
pub const fn control_len(body_len: usize) -> usize {
    padded(HEADER_LEN + body_len)
}

/// Builds a block of any other kind around an opaque body.
#[must_use]
pub fn control_block(kind: BlockKind, body: &[u8], place: &Place) -> Vec<u8> {
    padded_control_block(kind, body, place, 0)
}

/// The same with `padding` zeros behind it: a multiple of [`super::ALIGN`] below [`super::PAGE`].
#[must_use]
pub fn padded_control_block(kind: BlockKind, body: &[u8], place: &Place, padding: usize) -> Vec<u8> {
    let len = control_len(body.len()) + padding;
    let mut buffer = Vec::with_capacity(len);
    buffer.resize(HEADER_LEN, 0);
    buffer.extend_from_slice(body);
    buffer.resize(len, 0);
    let shape = Shape {
        kind,
        table_len: 0,
        rows: 0,
        runs: 0,
        body_len: low_u32(body.len()),
        body_crc: crc32c::crc32c(body),
        padding: low_u32(padding),
    };
    write_header(&mut buffer, HEADER_LEN, &shape, place);
    buffer
}

/// Gives a finished block another epoch: recovery copies blocks into a new segment at the same position. Nothing else
/// changes. Returns `false`, and changes nothing, when `block` is too short to be one.
pub fn set_epoch(block: &mut [u8], epoch: u64) -> bool {
    let Ok(header) = super::parse_header(block) else { return false };
    if block.len() < header.total_len() {
        return false;
    }
    put(block, 16, &epoch.to_le_bytes());
    let crc = super::header_crc(block, header.table_end());
    put(block, 8, &crc.to_le_bytes());
    true
}

struct Shape {
    kind: BlockKind,
    table_len: u32,
    rows: u32,
    runs: u32,
    body_len: u32,
    body_crc: u32,
    padding: u32,
}

fn write_header(buffer: &mut [u8], table_end: usize, shape: &Shape, place: &Place) {
    let mut at = 0;
    let mut add = |bytes: &[u8]| {
        put(buffer, at, bytes);
        at += bytes.len();
    };
    add(&MAGIC.to_le_bytes());
    add(&[VERSION, shape.kind as u8, 0, 0]);
    add(&0u32.to_le_bytes()); // the CRC, below
    add(&shape.table_len.to_le_bytes());
    add(&place.epoch.to_le_bytes());
    add(&place.pos.0.to_le_bytes());
    add(&place.durable_upto.0.to_le_bytes());
    add(&place.base_row.0.to_le_bytes());
    add(&shape.rows.to_le_bytes());
    add(&shape.runs.to_le_bytes());
    add(&shape.body_len.to_le_bytes());
    add(&shape.body_crc.to_le_bytes());
    add(&place.written_at.0.to_le_bytes());
    add(&place.index.to_le_bytes());
    add(&shape.padding.to_le_bytes());
    // 12 reserved bytes stay zero.
    let crc = super::header_crc(buffer, table_end);
    put(buffer, 8, &crc.to_le_bytes());
}

fn put(buffer: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(slot) = buffer.get_mut(at..at + bytes.len()) {
        slot.copy_from_slice(bytes);
    } else {
        debug_assert!(false, "write outside the block");
    }
}

/// Lengths inside a block are below [`super::MAX_BLOCK`], far below 4 GiB.
fn low_u32(len: usize) -> u32 {
    debug_assert!(len <= u32::MAX as usize);
    u32::try_from(len).unwrap_or(u32::MAX)
}
