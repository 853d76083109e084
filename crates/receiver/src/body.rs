//! Bodies: read with a cap, decompressed with a cap.

use std::io::Read;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// A body as it came over the wire.
pub(crate) enum Arrival {
    /// All of it.
    Whole(Bytes),
    /// Longer than the cap: the rest was read and thrown away, up to [`DRAIN`].
    TooLong,
    /// The client went away in the middle.
    Broken,
}

/// Bytes that are read beyond the cap, so that a client that first sends and then reads gets its answer.
const DRAIN: usize = 64 << 20;

/// Keeps at most `cap` bytes.
pub(crate) async fn read(mut body: Incoming, cap: usize) -> Arrival {
    let mut whole = BytesMut::new();
    let mut beyond = 0_usize;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Arrival::Broken };
        let Ok(data) = frame.into_data() else { continue };
        if beyond == 0 && whole.len().saturating_add(data.len()) <= cap {
            whole.extend_from_slice(&data);
            continue;
        }
        beyond = beyond.saturating_add(data.len());
        if beyond > DRAIN {
            return Arrival::TooLong;
        }
    }
    if beyond > 0 { Arrival::TooLong } else { Arrival::Whole(whole.freeze()) }
}

/// Why a body did not decompress.
pub(crate) enum Inflate {
    /// It is no gzip.
    Broken,
    /// More than the cap came out.
    TooLong,
}

/// Decompresses gzip up to `cap` bytes.
pub(crate) fn gunzip(packed: &[u8], cap: usize) -> Result<Vec<u8>, Inflate> {
    let limit = u64::try_from(cap).unwrap_or(u64::MAX).saturating_add(1);
    #[allow(clippy::disallowed_methods, reason = "the other side of the wire, and capped by `take`")]
    let decoder = flate2::read::GzDecoder::new(packed);
    let mut plain = Vec::new();
    decoder.take(limit).read_to_end(&mut plain).map_err(|_| Inflate::Broken)?;
    if plain.len() > cap { Err(Inflate::TooLong) } else { Ok(plain) }
}
