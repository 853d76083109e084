//! What a body is, by its headers.

use event::reject::Code;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use pipelines::Format;

use crate::answer::Refusal;
use crate::body::Encoding;

/// Content type and encoding of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Media {
    pub(super) encoding: Encoding,
    format: Option<Format>,
}

impl Media {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let unsupported = |message: &str| Refusal::new(Code::UnsupportedMedia, message);
        let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
        let encoding = Encoding::parse(encodings.next().map(|value| value.as_bytes()))
            .filter(|_| encodings.next().is_none())
            .ok_or_else(|| unsupported("the content encoding must be one of gzip, zstd and identity"))?;
        let format = match headers.get(CONTENT_TYPE) {
            None => None,
            Some(value) => Some(format_of(value.as_bytes()).ok_or_else(|| {
                unsupported(
                    "the content type must be application/x-ndjson or application/json; with curl: \
                     --data-binary @FILE -H 'content-type: application/x-ndjson'",
                )
            })?),
        };
        Ok(Self { encoding, format })
    }

    /// How the body is cut into events. Without a content type its first byte tells.
    pub(super) fn format(self, body: &[u8]) -> Format {
        self.format.unwrap_or_else(|| match body.trim_ascii_start().first() {
            Some(b'[') => Format::Json,
            _ => Format::Ndjson,
        })
    }
}

fn format_of(content_type: &[u8]) -> Option<Format> {
    let mut parts =
        content_type.split(|byte| *byte == b';').map(|part| part.trim_ascii().to_ascii_lowercase());
    let format = match parts.next()?.as_slice() {
        b"application/json" => Format::Json,
        b"application/x-ndjson"
        | b"application/ndjson"
        | b"application/jsonl"
        | b"application/x-jsonlines" => Format::Ndjson,
        _ => return None,
    };
    // JSON is UTF-8; a client that says otherwise would be misread.
    let charsets = parts.filter_map(|part| part.strip_prefix(b"charset=").map(<[u8]>::to_vec));
    charsets
        .into_iter()
        .all(|name| matches!(name.as_slice(), b"utf-8" | b"\"utf-8\"" | b"utf8"))
        .then_some(format)
}
