//! `trailwire generate`: raw events for trying things out and for measuring, the same for the same seed.
//!
//! An event is a pure function of the [`Spec`] and its number, so any part of the stream can be made alone.

mod calls;
mod mix;
mod registry;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::Context;

use calls::{FAILURES, OPERATIONS};
use mix::{Dice, Subject, hex, uuid};
use registry::{App, Org, Registry};

/// What to generate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    /// Other seeds give other events, with other ids.
    pub seed: u64,
    /// Organisations; each event is of any of them, evenly.
    pub orgs: u32,
    /// Apps; each organisation has up to eight of them installed.
    pub apps: u32,
    /// The time of the first event, milliseconds since 1970. Each next one is 1 to 3 ms later.
    pub start_ms: i64,
}

/// 2026-11-22T00:00:00Z.
const DEFAULT_START_MS: i64 = 1_795_305_600_000;
/// Milliseconds from one event to the next, on average.
const STEP_MS: u64 = 2;
/// Events of one call group: as long as a job of an app might be.
const GROUP_EVENTS: u64 = 20_000;

impl Default for Spec {
    fn default() -> Self {
        Self { seed: 1, orgs: 2_000, apps: 400, start_ms: DEFAULT_START_MS }
    }
}

/// Makes the events of a [`Spec`].
#[derive(Debug)]
pub struct Generator {
    spec: Spec,
    registry: Registry,
}

/// Every event begins with this, its id between the two.
const BEFORE_ID: &[u8] = b"{\"id\":\"";
const BEFORE_TIME: &[u8] = b"\",\"kind\":\"api_call\",\"time\":\"";

impl Generator {
    /// Where the 24 characters of the time stand in every event.
    pub const TIME: Range<usize> = {
        let start = BEFORE_ID.len() + 36 + BEFORE_TIME.len();
        start..start + 24
    };

    /// Lays out organisations and apps.
    #[must_use]
    pub fn new(spec: Spec) -> Self {
        Self { spec, registry: Registry::new(spec.seed, spec.orgs, spec.apps) }
    }

    /// The ids of the organisations.
    pub fn org_ids(&self) -> impl ExactSizeIterator<Item = &str> {
        self.registry.orgs.iter().map(|org| org.id.as_str())
    }

    /// Appends event `number` to `out`: one line without its newline.
    pub fn event(&self, number: u64, out: &mut Vec<u8>) {
        let mut dice = Dice::new(self.spec.seed, Subject::Event, number);
        let registry = &self.registry;
        let org_at = usize::try_from(dice.below(registry.orgs.len() as u64)).unwrap_or(0);
        let slot = dice.below(u64::from(registry.installations_per_org()));
        let app_at = registry.installed(org_at, u32::try_from(slot).unwrap_or(0));
        let (Some(org), Some(app)) = (registry.orgs.get(org_at), registry.apps.get(app_at)) else {
            debug_assert!(false, "a registry has at least one of each");
            return;
        };
        // Twelve operations in turn. Within each, every fourth call has the audit headers and every fourth failed, in
        // every combination equally often.
        let (round, at) = (number / 12, number % 12);
        let with_headers = (round + at) % 4 == 0;
        let failed = (round / 4 + at) % 4 == 0;
        let Some(operation) = usize::try_from(at).ok().and_then(|at| OPERATIONS.get(at)) else { return };

        out.extend_from_slice(BEFORE_ID);
        // The low 62 bits are the number, so ids are unique within a seed; the rest tells seeds apart.
        let rest = Dice::new(self.spec.seed, Subject::EventId, number).next();
        out.extend_from_slice(&uuid((u128::from(rest) << 64) | u128::from(number)));
        out.extend_from_slice(BEFORE_TIME);
        let jitter = dice.below(STEP_MS);
        let passed = number.wrapping_mul(STEP_MS).wrapping_add(jitter);
        out.extend_from_slice(&event::time::format_ms(self.spec.start_ms.wrapping_add_unsigned(passed)));

        let Org { id: org_id, site_id, site } = org;
        let App { id: app_id, key, kind, version, user_agent, .. } = app;
        let texts =
            |out: &mut Vec<u8>, parts: &[&[u8]]| parts.iter().for_each(|part| out.extend_from_slice(part));
        texts(
            out,
            &[
                b"\",\"org_id\":\"",
                org_id.as_bytes(),
                b"\",\"site_id\":\"",
                site_id.as_bytes(),
                b"\",\"site\":\"",
                site.as_bytes(),
                b"\",\"product\":\"",
                operation.product.as_bytes(),
                b"\",\"app\":{\"id\":\"",
                app_id.as_bytes(),
                b"\",\"key\":\"",
                key.as_bytes(),
                b"\",\"kind\":\"",
                kind.as_bytes(),
                b"\",\"installation_id\":\"",
                &registry.installation_id(org_at, app_at),
                b"\",\"environment\":\"production\",\"version\":\"",
                version.as_bytes(),
            ],
        );
        let (acting_as, credential, origin) = dice.pick(actors(kind));
        texts(
            out,
            &[
                b"\"},\"actor\":{\"acting_as\":\"",
                acting_as.as_bytes(),
                b"\",\"account_id\":\"712020:",
                // 64 people an organisation.
                &Dice::new(self.spec.seed, Subject::Org, (dice.below(64) << 32) | org_at as u64 | 1 << 63)
                    .uuid(),
                b"\",\"credential\":\"",
                credential.as_bytes(),
                b"\"},\"client\":{\"origin\":\"",
                origin.as_bytes(),
                b"\",\"evidence\":\"token_type\",\"ip\":\"203.0.113.",
            ],
        );
        let decimal = |out: &mut Vec<u8>, number: u64| {
            let written = write!(out, "{number}");
            debug_assert!(written.is_ok(), "a vector takes everything");
        };
        decimal(out, 1 + dice.below(254));
        texts(out, &[b"\",\"user_agent\":\"", user_agent.as_bytes(), b"\"},\"request\":{\"id\":\""]);
        out.extend_from_slice(&hex::<12>(u128::from(dice.next())));
        let trace = (u128::from(dice.next()) << 64) | u128::from(dice.next());
        if dice.below(4) != 0 {
            texts(out, &[b"\",\"trace_id\":\"", &hex::<32>(trace)]);
        }
        texts(out, &[b"\",\"method\":\"", operation.method.as_bytes(), b"\","]);
        operation.target.write(&mut dice, out);
        out.extend_from_slice(b",\"bytes\":");
        decimal(out, if operation.method == "GET" { 0 } else { 100 + dice.below(900) });
        if with_headers {
            out.extend_from_slice(b",\"headers\":{\"x-audit-log-description\":\"");
            // One in sixteen needs unescaping, as people's words do.
            let quote: &[u8] = if dice.below(16) == 0 {
                b"Copy \\\"open\\\" issues of sprint "
            } else {
                b"Copy changed issues of sprint "
            };
            out.extend_from_slice(quote);
            decimal(out, dice.below(1_000));
            out.extend_from_slice(b" to the warehouse\",\"x-audit-log-group\":\"nightly-copy-");
            decimal(out, number / GROUP_EVENTS);
            out.extend_from_slice(b"\"}");
        }
        out.extend_from_slice(b"},\"response\":{\"status\":");
        let status = if failed { dice.pick(&FAILURES) } else { operation.success };
        decimal(out, u64::from(status));
        out.extend_from_slice(b",\"bytes\":");
        decimal(out, if status == 204 { 0 } else { 200 + dice.below(20_000) });
        out.extend_from_slice(b",\"duration_ms\":");
        decimal(out, 3 + dice.below(250));
        // Never a zero at the end: some number formats cannot tell it.
        texts(
            out,
            &[
                b".",
                &[
                    b'0' + u8::try_from(dice.below(10)).unwrap_or(0),
                    b'1' + u8::try_from(dice.below(9)).unwrap_or(0),
                ],
            ],
        );
        out.extend_from_slice(b",\"rate_limit_remaining\":");
        decimal(out, dice.below(1_000));
        out.extend_from_slice(b"}}");
    }

    /// Appends events as lines.
    pub fn ndjson(&self, numbers: Range<u64>, out: &mut Vec<u8>) {
        for number in numbers {
            self.event(number, out);
            out.push(b'\n');
        }
    }

    /// Writes the registry of the apps in the format of `apps.files`.
    ///
    /// # Errors
    /// What `out` says.
    pub fn apps_yaml(&self, out: &mut impl Write) -> io::Result<()> {
        self.registry.write_yaml(out)
    }
}

/// Who acts, with which credential, from where, for an app of this kind.
fn actors(kind: &str) -> &'static [(&'static str, &'static str, &'static str)] {
    match kind {
        "connect" => &[("app", "connect_jwt", "backend"), ("user_offline", "connect_assertion", "backend")],
        "forge" => &[("app", "forge_app", "backend"), ("user", "forge_user", "unknown")],
        _ => &[("user", "oauth_3lo", "backend")],
    }
}

/// Command line of `generate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  trailwire generate --events 1000 | curl -sS --data-binary @- -H 'content-type: application/x-ndjson' -H 'authorization: Bearer …' http://127.0.0.1:8080/v1/events
  trailwire generate --events 500000 --orgs 2000 --apps 400 --seed 7 --output events.ndjson --apps-yaml apps.yaml")]
pub struct Args {
    /// How many events.
    #[arg(long, default_value_t = 1_000)]
    pub events: u64,
    /// How many organisations they are of.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub orgs: u32,
    /// How many apps make the calls.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub apps: u32,
    /// The same seed gives the same events.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The time of the first event, milliseconds since 1970.
    #[arg(long, default_value_t = DEFAULT_START_MS, value_name = "MILLISECONDS")]
    pub start: i64,
    /// Where to, instead of standard output.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Also write the registry of the apps there.
    #[arg(long, value_name = "FILE")]
    pub apps_yaml: Option<PathBuf>,
}

/// Events that are made before they are written.
const CHUNK: u64 = 1_000;

/// Runs `generate`.
///
/// # Errors
/// A file cannot be written.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let generator =
        Generator::new(Spec { seed: args.seed, orgs: args.orgs, apps: args.apps, start_ms: args.start });
    if let Some(path) = &args.apps_yaml {
        let mut file = BufWriter::new(create(path)?);
        generator
            .apps_yaml(&mut file)
            .and_then(|()| file.flush())
            .with_context(|| format!("writing {}", path.display()))?;
    }
    let written = match &args.output {
        Some(path) => write_events(&generator, args.events, create(path)?),
        None => write_events(&generator, args.events, io::stdout().lock()),
    };
    match written {
        // Whoever read our output has enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("writing events"),
    }
}

fn create(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| format!("creating {}", path.display()))
}

fn write_events(generator: &Generator, events: u64, mut out: impl Write) -> io::Result<()> {
    let mut chunk = Vec::new();
    let mut number = 0;
    while number < events {
        let end = events.min(number + CHUNK);
        chunk.clear();
        generator.ndjson(number..end, &mut chunk);
        out.write_all(&chunk)?;
        number = end;
    }
    out.flush()
}

#[cfg(test)]
mod tests;
