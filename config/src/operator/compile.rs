//! `trailwire.yaml` as written → the operator's settings.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::{
    AllowedNet, Buffer, Grants, Journal, Listen, Log, LogFormat, Memory, Operator, Quota, RawOperator,
    UnknownOrg, apps, producer, raw, trust,
};
use crate::scope::Scope;
use crate::units::{ByteSize, Interval};

/// The least memory of each part with which it can work at all: a group commit, a request, a block.
const LEAST: Memory = Memory {
    tail: 16 << 20,
    in_flight: 8 << 20,
    ingest: 32 << 20,
    ids: 1 << 20,
    lanes: 1 << 20,
    writers: 16 << 20,
};
const MAX_PARTITIONS: u16 = 1_024;
const MAX_WINDOW: u32 = 1 << 26;
/// What remembering an id takes; `flow`'s duplicate window keeps to it.
const BYTES_PER_ID: u64 = 32;
const SEGMENT_BYTES: (u64, u64) = (16 << 20, 16 << 30);
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Checks everything, noting what is wrong. `None` when there is an error.
pub(crate) fn compile(scope: &mut Scope<'_>, raw: RawOperator, folder: &Path) -> Option<(Operator, Grants)> {
    let listen = listen(scope, &raw.listen, raw.admin.token.is_some());
    let admin_token = match raw.admin.token {
        Some(token) => producer::hashed(scope, "admin.token", Some(token)),
        None => None,
    };
    let producers = producer::compile(scope, raw.producers.into_iter().collect());
    for name in raw.sources.keys() {
        let hint = "HTTP is always on; remove the source, a later version will bring it";
        scope.error_with_hint(&format!("sources.{name}"), "not supported yet", hint);
    }
    let grants = Grants::compile(scope, raw.orgs);
    let egress_allow = egress(scope, &raw.egress.allow);
    let app_files = raw.apps.files.iter().map(|file| folder.join(file)).collect::<Vec<_>>();
    apps::check(scope, &app_files);
    let operator = Operator {
        folder: folder.to_owned(),
        development: raw.development,
        data_dir: folder.join(path(scope, "data_dir", raw.data_dir)),
        listen: listen.unwrap_or(Listen { ingest: NOWHERE, admin: NOWHERE }),
        admin_token,
        producers,
        buffer: buffer(scope, &raw.buffer),
        app_files,
        orgs_dir: folder.join(path(scope, "orgs_dir", raw.orgs_dir)),
        unknown_org: match raw.unknown_org {
            raw::RawUnknownOrg::Accept => UnknownOrg::Accept,
            raw::RawUnknownOrg::Refuse => UnknownOrg::Refuse,
        },
        egress_allow,
        egress_roots: trust::compile(scope, &raw.egress.ca_files, folder),
        ingest_per_org: Quota {
            events: raw.limits.ingest_per_org.events.0,
            bytes: raw.limits.ingest_per_org.bytes.0,
        },
        dedupe_window: window(scope, raw.dedupe.window, raw.memory.ids),
        memory: memory(scope, &raw.memory),
        delivery_starts_per_core: starts(scope, raw.delivery_starts_per_core),
        journal: journal(scope, &raw.journal),
        threads: threads(scope, &raw.threads),
        log: log(scope, raw.log),
        otlp_endpoint: otlp(scope, raw.telemetry.otlp_endpoint),
        master_secret: raw.master_secret.and_then(|secret| scope.secret("master_secret", Some(secret))),
    };
    (!scope.has_errors()).then_some((operator, grants))
}

/// Stands for an address that was refused; never leaves this module, since the refusal is an error.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

fn listen(scope: &mut Scope<'_>, raw: &raw::RawListen, admin_has_token: bool) -> Option<Listen> {
    let mut address = |key: &str, text: &str| {
        let parsed = text.parse::<SocketAddr>().ok();
        if parsed.is_none() {
            let hint = "such as 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080";
            scope.error_with_hint(key, "expected an address and a port", hint);
        }
        parsed
    };
    let ingest = address("listen.ingest", &raw.ingest);
    let admin = address("listen.admin", &raw.admin);
    let (ingest, admin) = (ingest?, admin?);
    if ingest == admin && ingest.port() != 0 {
        scope.error("listen.admin", "is the same address as listen.ingest");
    }
    if !admin.ip().is_loopback() && !admin_has_token {
        let hint = "write `admin: {token: ${env:TRAILWIRE_ADMIN_TOKEN}}`, or listen on 127.0.0.1";
        scope.error_with_hint(
            "listen.admin",
            "an admin address that is not loopback requires admin.token",
            hint,
        );
    }
    Some(Listen { ingest, admin })
}

fn path(scope: &mut Scope<'_>, key: &str, path: String) -> String {
    if path.is_empty() {
        scope.error(key, "the path is empty");
    }
    path
}

fn egress(scope: &mut Scope<'_>, raw: &[raw::RawAllowedNet]) -> Vec<AllowedNet> {
    let mut allowed = Vec::with_capacity(raw.len());
    for (index, net) in raw.iter().enumerate() {
        match net.cidr {
            Some(cidr) => allowed.push(AllowedNet {
                cidr: cidr.0.trunc(),
                plaintext: net.plaintext,
                shared_only: matches!(net.sinks, raw::RawAllowedSinks::Shared),
            }),
            None => scope.require_in_item("egress.allow", index, "cidr"),
        }
    }
    allowed
}

fn buffer(scope: &mut Scope<'_>, raw: &raw::RawBuffer) -> Buffer {
    let least = Interval(Duration::from_secs(60));
    if raw.max_age < least {
        scope.error("buffer.max_age", format!("must be at least {least}"));
    }
    let least = ByteSize(64 << 20);
    if raw.max_bytes < least {
        scope.error("buffer.max_bytes", format!("must be at least {least}"));
    }
    Buffer { max_age: raw.max_age.0, max_bytes: raw.max_bytes.0 }
}

fn window(scope: &mut Scope<'_>, window: u32, memory: ByteSize) -> u32 {
    if window > MAX_WINDOW {
        scope.error("dedupe.window", format!("must be at most {MAX_WINDOW}"));
    } else if u64::from(window) * BYTES_PER_ID > memory.0 {
        let need = (u64::from(window) * BYTES_PER_ID).div_ceil(1 << 20);
        scope.error_with_hint(
            "dedupe.window",
            format!("takes {need}MiB at {BYTES_PER_ID} bytes an id, and memory.ids is {memory}"),
            format!("raise memory.ids to {need}MiB, or remember at most {} ids", memory.0 / BYTES_PER_ID),
        );
    }
    window
}

fn memory(scope: &mut Scope<'_>, raw: &raw::RawMemory) -> Memory {
    let mut part = |key: &str, size: ByteSize, least: u64| {
        if size.0 < least {
            scope.error(&format!("memory.{key}"), format!("must be at least {}", ByteSize(least)));
        }
        size.0
    };
    Memory {
        tail: part("tail", raw.tail, LEAST.tail),
        in_flight: part("in_flight", raw.in_flight, LEAST.in_flight),
        ingest: part("ingest", raw.ingest, LEAST.ingest),
        ids: part("ids", raw.ids, LEAST.ids),
        lanes: part("lanes", raw.lanes, LEAST.lanes),
        writers: part("writers", raw.writers, LEAST.writers),
    }
}

fn starts(scope: &mut Scope<'_>, starts: u32) -> u32 {
    if !(1..=1_000_000).contains(&starts) {
        scope.error("delivery_starts_per_core", "must be from 1 to 1000000");
    }
    starts
}

fn journal(scope: &mut Scope<'_>, raw: &raw::RawJournal) -> Journal {
    if !(1..=MAX_PARTITIONS).contains(&raw.partitions) {
        scope.error("journal.partitions", format!("must be from 1 to {MAX_PARTITIONS}"));
    }
    if !(SEGMENT_BYTES.0..=SEGMENT_BYTES.1).contains(&raw.segment_bytes.0) {
        let (least, most) = (ByteSize(SEGMENT_BYTES.0), ByteSize(SEGMENT_BYTES.1));
        scope.error("journal.segment_bytes", format!("must be from {least} to {most}"));
    }
    Journal { partitions: raw.partitions, segment_bytes: raw.segment_bytes.0 }
}

fn threads(scope: &mut Scope<'_>, raw: &str) -> Option<u16> {
    if raw == "auto" {
        return None;
    }
    let threads = raw.parse::<u16>().ok().filter(|threads| (1..=1_024).contains(threads));
    if threads.is_none() {
        scope.error("threads", "expected auto, or a number from 1 to 1024");
    }
    threads
}

fn log(scope: &mut Scope<'_>, raw: raw::RawLog) -> Log {
    // `level` or `target=level`, with commas between. The full syntax is tracing's own; this catches misspelt levels.
    for part in raw.level.split(',') {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level).trim();
        if !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
            scope.error("log.level", format!("expected one of {}, or TARGET=LEVEL,…", LEVELS.join(", ")));
            break;
        }
    }
    let format = match raw.format {
        raw::RawLogFormat::Pretty => LogFormat::Pretty,
        raw::RawLogFormat::Json => LogFormat::Json,
    };
    Log { format, level: raw.level }
}

fn otlp(scope: &mut Scope<'_>, endpoint: Option<String>) -> Option<String> {
    let endpoint = endpoint?;
    let rest = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://"));
    if rest.is_none_or(|rest| rest.is_empty() || rest.contains(['@', '?', '#', ' '])) {
        let hint = "such as http://127.0.0.1:4318";
        scope.error_with_hint("telemetry.otlp_endpoint", "expected a URL without user and query", hint);
    }
    Some(endpoint)
}
