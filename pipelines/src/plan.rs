//! The plan: how the bytes of a request become rows.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use event::Kind;
use event::raw::{Problem, RawEvent, Reader};
use event::record::{Attribution, Origin, Tail, TimeMark};
use event::reject::Code;
use flow::clock::UnixMillis;
use flow::orgs::{Directory, OrgKey};
use flow::prepared::PreparedRow;

use crate::decoded::{BodyFault, Decoded};
use crate::grant::Grant;
use crate::keys::{DedupeState, Keys};
use crate::redact::{self, POLICY};

/// The largest body, in bytes after decompression.
pub const MAX_BODY: usize = 16 << 20;
/// The most events of a body.
pub const MAX_EVENTS: usize = 50_000;

const YEAR_MS: i64 = 365 * 86_400_000;
const HOUR_MS: i64 = 3_600_000;

/// Asks whether an organisation may bring in so many bytes more; the answer "no" says when to try again.
pub type Quota<'q> = dyn FnMut(OrgKey, u64) -> Result<(), Duration> + 'q;

/// How the events stand in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One event a line. A bad line costs only itself.
    Ndjson,
    /// An array of events, or a single one. A syntax error costs the whole body.
    Json,
}

/// A request.
pub struct Input<'i> {
    /// The body, decompressed.
    pub body: &'i [u8],
    /// How the events stand in it.
    pub format: Format,
    /// Who sends it and what that sender may send.
    pub grant: &'i Grant,
    /// Where it came in, such as `http`; at most [`event::record::MAX_NAME`] bytes of it are kept.
    pub source: &'i str,
    /// When.
    pub received_at: UnixMillis,
    /// Asked once for each event that is otherwise admitted, with its bytes.
    pub quota: &'i mut Quota<'i>,
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Input({} bytes, {:?}, {})", self.body.len(), self.format, self.grant.producer())
    }
}

/// Decodes, redacts and renders. Immutable, shared by all requests.
#[derive(Debug)]
pub struct Plan {
    pub(crate) keys: Keys,
    pub(crate) directory: Arc<Directory>,
}

/// What is the same for all events of a request.
struct Moment {
    received_at: UnixMillis,
    origin: Origin,
    dedupe: DedupeState,
}

impl Plan {
    /// A plan with the keys of this installation, over its organisations.
    #[must_use]
    pub fn new(keys: Keys, directory: Arc<Directory>) -> Self {
        Self { keys, directory }
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Makes rows and rejections of a body; `sink` holds nothing else afterwards.
    ///
    /// # Errors
    /// [`BodyFault`]: the whole body is refused and `sink` is empty.
    pub fn decode(&self, mut input: Input<'_>, sink: &mut Decoded) -> Result<(), BodyFault> {
        sink.reset(usize::from(self.directory.partitions()));
        sink.known_orgs.begin(&self.directory);
        let decoded = if input.body.len() > MAX_BODY {
            Err(BodyFault::new(Code::BodyTooLarge))
        } else {
            match input.format {
                Format::Ndjson => self.lines(&mut input, sink),
                Format::Json => self.document(&mut input, sink),
            }
        };
        if decoded.is_err() {
            sink.reset(usize::from(self.directory.partitions()));
        }
        decoded
    }

    fn moment(&self, input: &Input<'_>) -> Moment {
        let (producer, received_at) = (input.grant.producer(), input.received_at);
        Moment {
            received_at,
            origin: Origin::new(input.source, input.grant.asserted_by(), producer, POLICY, received_at.0),
            dedupe: self.keys.dedupe_start(producer),
        }
    }

    fn lines(&self, input: &mut Input<'_>, sink: &mut Decoded) -> Result<(), BodyFault> {
        let moment = self.moment(input);
        let body = input.body;
        let (mut start, mut line, mut events) = (0, 0u32, 0);
        let mut event = RawEvent::default();
        while let Some(rest) = body.get(start..).filter(|rest| !rest.is_empty()) {
            let len = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let text = rest.get(..len).unwrap_or_default();
            line += 1;
            if !is_blank(text) {
                events += 1;
                if events > MAX_EVENTS {
                    return Err(BodyFault::new(Code::TooManyEvents));
                }
                match Reader::new(&mut sink.scratch).read(text, &mut event) {
                    Ok(()) => self.event(&mut event, line, len, &moment, input, sink),
                    Err(problem) => sink.reject(problem.code, || problem.reject(line, 0)),
                }
            }
            start += len + 1;
        }
        Ok(())
    }

    fn document(&self, input: &mut Input<'_>, sink: &mut Decoded) -> Result<(), BodyFault> {
        let moment = self.moment(input);
        let text = input.body;
        let mut at = skip_blank(text, 0);
        if here(text, at) != b'[' {
            at = self.element(at, 1, &moment, input, sink)?;
            at = skip_blank(text, at);
            return if at == text.len() {
                Ok(())
            } else {
                Err(BodyFault::broken(
                    "there is more than one value; send one a line as application/x-ndjson",
                ))
            };
        }
        at = skip_blank(text, at + 1);
        let mut events = 0u32;
        if here(text, at) == b']' {
            at += 1;
        } else {
            loop {
                events += 1;
                if events as usize > MAX_EVENTS {
                    return Err(BodyFault::new(Code::TooManyEvents));
                }
                at = self.element(at, events, &moment, input, sink)?;
                at = skip_blank(text, at);
                match here(text, at) {
                    b',' => at = skip_blank(text, at + 1),
                    b']' => {
                        at += 1;
                        break;
                    }
                    _ => {
                        let place = format!("a comma or a closing bracket belongs at byte {}", at + 1);
                        return Err(BodyFault::broken(&place));
                    }
                }
            }
        }
        if skip_blank(text, at) == text.len() {
            Ok(())
        } else {
            Err(BodyFault::broken("something follows the array"))
        }
    }

    /// One event of a JSON document, from byte `at` on; returns where it ends.
    fn element(
        &self,
        at: usize,
        index: u32,
        moment: &Moment,
        input: &mut Input<'_>,
        sink: &mut Decoded,
    ) -> Result<usize, BodyFault> {
        let text = input.body;
        let broken = |problem: Box<Problem>| {
            if problem.is_syntax() {
                BodyFault::broken(&format!("{} (byte {})", problem.note, problem.at + 1))
            } else {
                BodyFault::broken(&problem.words(0))
            }
        };
        let mut event = RawEvent::default();
        match Reader::new(&mut sink.scratch).read_at(text, at, &mut event) {
            Ok(end) => {
                self.event(&mut event, index, end - at, moment, input, sink);
                Ok(end)
            }
            Err(problem) if problem.is_syntax() => Err(broken(problem)),
            Err(problem) => {
                let end = Reader::new(&mut sink.scratch).skip(text, at).map_err(broken)?;
                sink.reject(problem.code, || problem.reject(index, at));
                Ok(end)
            }
        }
    }

    /// Admits, redacts and renders one event.
    fn event(
        &self,
        event: &mut RawEvent<'_>,
        line: u32,
        bytes: usize,
        moment: &Moment,
        input: &mut Input<'_>,
        sink: &mut Decoded,
    ) {
        let admitted = self.admit(event, bytes, input, &mut sink.known_orgs, &mut sink.work.decoded);
        let found = match admitted {
            Ok(found) => found,
            Err(refused) => return sink.reject(refused.code, || refused.reject(line)),
        };
        // Hashes are of what was sent, so they come before the redaction.
        let work = &mut sink.work;
        let mut id = Vec::new();
        let dedupe =
            Keys::dedupe(&moment.dedupe, event.org_id.decode(&mut work.decoded), event.id.decode(&mut id));
        let app_name = if event.app.id.is_empty() { event.app.key } else { event.app.id };
        let app = self.keys.app(app_name.decode(&mut work.decoded));
        let group = if event.request.group.is_empty() {
            0
        } else {
            let mut app = Vec::new();
            let mut key = Vec::new();
            self.keys.group(
                event.org_id.decode(&mut work.decoded),
                app_name.decode(&mut app),
                event.request.group.decode(&mut key),
            )
        };
        redact::event(event, &self.keys, work);

        let has_app = !app_name.is_empty();
        let status = event.response.status;
        let tail = Tail {
            facts: event,
            id_hash: work.id_hash,
            time_mark: moment.mark(event.time_ms),
            path: &work.path,
            query: &work.query,
            user_agent: &work.user_agent,
            scopes_before: &work.scopes_before,
            scopes_after: &work.scopes_after,
            object_id: work.object_id,
            attribution: if has_app { Attribution::Declared } else { Attribution::None },
            origin: &moment.origin,
            complete: has_app && (status != 0 || event.kind != Kind::ApiCall),
            replaced: work.replaced,
        };
        let partitions = sink.parts.len();
        let Some(part) = sink.parts.get_mut(usize::from(found.partition.0)) else { return };
        if part.arena.capacity() == 0 {
            // Room for an even share, so that arena and rows rarely move.
            let share = input.body.len() / partitions.max(1) * 5 / 4;
            part.arena.reserve(share + 4096);
            part.rows.reserve(share / bytes.max(512) + 4);
        }
        let offset = part.arena.len();
        part.arena.reserve(bytes + event::record::MAX_GROWTH);
        let content_len = tail.render(&mut part.arena);
        let content = self.keys.content(part.arena.get(offset..offset + content_len).unwrap_or_default());
        part.rows.push(PreparedRow {
            org: found.key,
            offset: low_u32(offset),
            len: low_u32(part.arena.len() - offset),
            line,
            dedupe,
            content,
            time_ms: event.time_ms,
            app,
            group,
            status,
            kind: event.kind,
        });
        sink.accepted += 1;
    }
}

impl Moment {
    fn mark(&self, time_ms: i64) -> Option<TimeMark> {
        let ahead = time_ms.saturating_sub(self.received_at.0);
        if ahead < -YEAR_MS {
            Some(TimeMark::Past)
        } else if ahead > HOUR_MS {
            Some(TimeMark::Future)
        } else {
            None
        }
    }
}

fn is_blank(line: &[u8]) -> bool {
    // Most lines begin with the brace.
    line.first() != Some(&b'{') && line.iter().all(|b| matches!(b, b' ' | b'\t' | b'\r'))
}

fn skip_blank(text: &[u8], from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n')).count()
}

fn here(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

/// Arenas are bounded by the body and the growth of a record, far below 4 GiB.
fn low_u32(len: usize) -> u32 {
    debug_assert!(u32::try_from(len).is_ok());
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
