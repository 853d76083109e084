//! Closing a segment file with its footer.

use std::io;

use flow::segment::ReserveError;

use crate::footer::{self, Trailer};
use crate::index::Index;
use crate::segment_header::SegmentHeader;
use crate::shared::Sealed;
use crate::space::{Space, Use};
use crate::vfs::VfsFile;

/// Cuts the file behind the last block of `index`, writes the footer there and syncs. Everything that `index` holds
/// must be durable before.
pub(crate) fn seal(
    file: &dyn VfsFile,
    header: &SegmentHeader,
    index: &Index,
    space: &Space,
) -> io::Result<Sealed> {
    let offset = header.offset_of(index.summary.end);
    let footer = footer::encode(index, header.log, offset);
    let file_len = offset + footer.len() as u64;
    space.allocate(file, offset, file_len, Use::Upkeep).map_err(refused)?;
    crate::failpoint::at("journal::seal::truncate::before")?;
    file.truncate(file_len)?;
    crate::failpoint::at("journal::seal::write::before")?;
    file.write_all_at(&footer, offset)?;
    crate::failpoint::at("journal::seal::sync::before")?;
    file.sync()?;
    crate::failpoint::at("journal::seal::after")?;
    let trailer = Trailer::read(file, header).map_err(io::Error::other)?;
    Ok(Sealed { header: *header, trailer, file_len })
}

/// A refusal where nothing can be refused any more.
pub(crate) fn refused(error: ReserveError) -> io::Error {
    match error {
        ReserveError::Io(error) => error,
        ReserveError::Refused(_) => io::Error::new(
            io::ErrorKind::StorageFull,
            "the disk is full, and so is the space kept for restarts",
        ),
    }
}
