//! Request bodies: reading them at a bounded pace, and the only place that decompresses.

mod pace;
#[cfg(test)]
mod tests;

use std::io::Read;

use flow::clock::Clock;
use http_body_util::BodyExt;
use hyper::body::{Body, Buf, Incoming};

pub use self::pace::Pace;

/// Bytes of a body, before and after decompression.
pub const MAX_BODY: usize = 16 << 20;
/// How many bytes a compressed body may become, per byte.
pub const MAX_RATIO: usize = 100;
/// Below this size the ratio says nothing: a few equal events compress better than that.
const RATIO_FLOOR: usize = 64 << 10;
/// The largest window of a zstd frame: what RFC 8878 asks every decoder to support.
const ZSTD_WINDOW_LOG: u32 = 23;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// RFC 1952, any number of members.
    Gzip,
    /// RFC 8878, any number of frames.
    Zstd,
}

impl Encoding {
    /// Reads the header `Content-Encoding`.
    #[must_use]
    pub fn parse(header: Option<&[u8]>) -> Option<Self> {
        let Some(name) = header else { return Some(Self::Identity) };
        match name.trim_ascii().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Some(Self::Identity),
            b"gzip" | b"x-gzip" => Some(Self::Gzip),
            b"zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// How many times the decompressed size a request holds while it is decoded: the rendered events, and what they
    /// were decompressed into.
    pub(crate) const fn copies(self) -> usize {
        match self {
            Self::Identity => 2,
            Self::Gzip | Self::Zstd => 3,
        }
    }

    /// The most that `len` bytes may become.
    #[must_use]
    pub fn inflated_limit(self, len: usize) -> usize {
        match self {
            Self::Identity => len,
            Self::Gzip | Self::Zstd => len.saturating_mul(MAX_RATIO).clamp(RATIO_FLOOR, MAX_BODY),
        }
    }
}

/// Why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadFault {
    /// More than [`MAX_BODY`].
    #[error("the body is larger than {MAX_BODY} bytes: send smaller batches")]
    TooLarge,
    /// The body came more slowly than [`Pace`] asks, or not at all.
    #[error("the body came too slowly, or stopped: send it again, in smaller batches on a slow line")]
    TooSlow,
    /// The connection ended first, or the framing is wrong.
    #[error("the body ended before its announced length")]
    Incomplete,
    /// A body of unannounced length outgrew what is left of the ingest memory.
    #[error("the ingest memory is in use: send the batch again later, with a Content-Length")]
    NoMemory,
}

/// Reads a body to its end. `grow` is asked before the buffer holds more than was admitted, with the bytes it is to
/// hold in all, and may refuse.
///
/// # Errors
/// [`ReadFault`]; the connection is of no further use then.
pub(crate) async fn read(
    body: &mut Incoming,
    into: &mut Vec<u8>,
    clock: &Clock,
    pace: Pace,
    grow: &mut (dyn FnMut(usize) -> bool + Send),
) -> Result<(), ReadFault> {
    let begun = clock.now().instant;
    if let Some(len) = body.size_hint().exact().and_then(|len| usize::try_from(len).ok()) {
        if len > MAX_BODY {
            return Err(ReadFault::TooLarge);
        }
        into.reserve_exact(len);
    }
    loop {
        let deadline = begun + pace.allowed(into.len());
        let frame = match tokio::time::timeout_at(deadline, body.frame()).await {
            Err(_) => return Err(ReadFault::TooSlow),
            Ok(None) => return Ok(()),
            Ok(Some(Err(_))) => return Err(ReadFault::Incomplete),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(mut data) = frame.into_data() else { continue };
        let len = into.len().saturating_add(data.remaining());
        if len > MAX_BODY {
            return Err(ReadFault::TooLarge);
        }
        if !grow(len) {
            return Err(ReadFault::NoMemory);
        }
        while data.has_remaining() {
            let chunk = data.chunk();
            into.extend_from_slice(chunk);
            let taken = chunk.len();
            data.advance(taken);
        }
    }
}

/// Why a body could not be decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InflateFault {
    /// Not what `Content-Encoding` says, cut off, or damaged.
    #[error("the body is not valid {0}")]
    Invalid(&'static str),
    /// More than [`MAX_BODY`] bytes after decompression.
    #[error("the body is larger than {MAX_BODY} bytes after decompression: send smaller batches")]
    TooLarge,
    /// More than [`MAX_RATIO`] times its compressed size.
    #[error("the body grows more than {MAX_RATIO} times when decompressed: send it uncompressed")]
    Ratio,
}

/// Decompresses `body` into `into`, which it empties first. Both limits are checked while the bytes come out, so
/// that a bomb costs no more memory than an honest body.
///
/// # Errors
/// [`InflateFault`].
pub fn inflate(body: &[u8], encoding: Encoding, into: &mut Vec<u8>) -> Result<(), InflateFault> {
    into.clear();
    let limit = encoding.inflated_limit(body.len());
    match encoding {
        Encoding::Identity => {
            into.extend_from_slice(body);
            Ok(())
        }
        Encoding::Gzip => capped(flate2::bufread::MultiGzDecoder::new(body), limit, into, "gzip"),
        Encoding::Zstd => {
            let invalid = |_| InflateFault::Invalid("zstd");
            let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(invalid)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(invalid)?;
            capped(decoder, limit, into, "zstd")
        }
    }
}

fn capped(
    decoder: impl Read,
    limit: usize,
    into: &mut Vec<u8>,
    name: &'static str,
) -> Result<(), InflateFault> {
    // One byte more than allowed tells "exactly at the limit" from "beyond it".
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(bound).read_to_end(into).map_err(|_| InflateFault::Invalid(name))?;
    if into.len() <= limit {
        Ok(())
    } else if limit < MAX_BODY {
        Err(InflateFault::Ratio)
    } else {
        Err(InflateFault::TooLarge)
    }
}
