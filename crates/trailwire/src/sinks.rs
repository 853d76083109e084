//! The table of sink types, and from a sink's configuration to what the delivery engine needs.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use config::{BrokenSink, Loaded, Selection, SinkConfig, SinkType, StartFrom};
use event::OrgId;
use flow::clock::UnixMillis;
use flow::lane::{Begin, Configured, SinkSpec, Target, Unread, UnreadSinks};
use flow::lane_state::SinkId;
use flow::log::Scope;
use flow::sink::Cause;

#[cfg(test)]
mod tests;

/// The settings of a sink of any type.
#[derive(Debug, Clone, PartialEq)]
pub enum SinkSettings {
    /// `splunk_hec`.
    SplunkHec(splunk_hec::Settings),
}

/// What the configuration is loaded as.
pub type Configuration = Loaded<SinkSettings>;

/// All types of sinks.
#[must_use]
pub fn types() -> Vec<SinkType<SinkSettings>> {
    vec![splunk_hec::settings::sink_type(|scope, context| {
        splunk_hec::Settings::compile(scope, context).map(SinkSettings::SplunkHec)
    })]
}

/// The sinks as they were last made. One in which nothing changed is not made anew: it keeps its connections, and what
/// it has learnt of its collector.
#[derive(Debug, Default)]
pub struct Made(HashMap<SinkId, (SinkConfig<SinkSettings>, SinkSpec)>);

impl Made {
    /// What the engine needs for everything that is written down, whether it can be made or not.
    pub fn make(&mut self, loaded: &Configuration, client: &egress::Client) -> Configured {
        let mut before = std::mem::take(&mut self.0);
        for sink in &loaded.sinks {
            let id = SinkId::of(sink.owner.as_ref(), &sink.name);
            let made = match before.remove(&id) {
                Some((config, made)) if config.is_same(sink) => made,
                _ => spec(sink, client),
            };
            self.0.insert(id, (sink.clone(), made));
        }
        let mut configured =
            Configured { sinks: self.0.values().map(|(_, made)| made.clone()).collect(), unread: Vec::new() };
        for sink in &loaded.broken {
            match broken_spec(sink) {
                Some(spec) => configured.sinks.push(spec),
                None => configured.unread.push(unread(sink)),
            }
        }
        configured
    }
}

fn scope(orgs: &Selection<OrgId>) -> Scope {
    match orgs {
        Selection::All => Scope::All,
        Selection::These(orgs) => Scope::Orgs(Arc::new(orgs.iter().cloned().collect::<BTreeSet<_>>())),
    }
}

fn spec(sink: &SinkConfig<SinkSettings>, client: &egress::Client) -> SinkSpec {
    let tenant = sink.owner.as_ref().map_or(egress::OPERATOR, |owner| owner.as_str());
    let SinkSettings::SplunkHec(settings) = &sink.settings;
    let target = match splunk_hec::HecSink::new(settings.clone(), client, tenant) {
        Ok(made) => Target::Ready(Arc::new(made)),
        Err(error) => Target::Unusable(Cause {
            what: format!("the endpoint cannot be used: {error}"),
            remedy: "correct `endpoint`".to_owned(),
            code: None,
        }),
    };
    SinkSpec {
        owner: sink.owner.clone(),
        name: sink.name.clone(),
        kind: sink.sink_type,
        scope: scope(&sink.orgs),
        target,
        concurrency: limit(sink.common.request.concurrency),
        lane_concurrency: limit(sink.common.request.concurrency),
        max_delay: sink.common.batch.max_delay,
        begin: match sink.common.from {
            StartFrom::End => Begin::End,
            StartFrom::Earliest => Begin::Earliest,
            StartFrom::Time(ms) => Begin::Time(UnixMillis(ms)),
        },
        plan_epoch: xxhash_rust::xxh3::xxh3_64(sink.common.plan().as_bytes()),
        paused: sink.common.paused,
    }
}

fn limit(concurrency: u32) -> u16 {
    u16::try_from(concurrency).unwrap_or(u16::MAX)
}

/// A sink that is written and cannot be made: it keeps (or gets) its place in the journal and shows why it is blocked.
/// `None` where it is not known whose records it would get: a wrong place could not be mended later.
fn broken_spec(sink: &BrokenSink) -> Option<SinkSpec> {
    let name = sink.name.clone()?;
    let scope = match (&sink.owner, &sink.orgs) {
        (Some(owner), _) => Scope::one(owner.clone()),
        (None, orgs) => scope(orgs.as_ref()?),
    };
    Some(SinkSpec {
        owner: sink.owner.clone(),
        name,
        kind: "unknown",
        scope,
        target: Target::Unusable(cause(sink)),
        concurrency: 1,
        lane_concurrency: 1,
        max_delay: std::time::Duration::from_secs(1),
        begin: Begin::End,
        plan_epoch: 0,
        paused: false,
    })
}

/// What is written and cannot be read, under the name of its file (`acme/sinks.yaml`).
fn unread(sink: &BrokenSink) -> Unread {
    let file = sink.file().unwrap_or_default();
    let file = Path::new(&file).file_name().unwrap_or_default().to_string_lossy();
    let shown = sink.folder.as_ref().map_or_else(|| file.to_string(), |folder| format!("{folder}/{file}"));
    let sinks = match &sink.name {
        Some(name) => UnreadSinks::One(name.clone()),
        None if sink.owner.is_none() && sink.folder.is_some() => UnreadSinks::Nobodys(shown),
        None => UnreadSinks::Any(shown),
    };
    Unread { owner: sink.owner.clone(), sinks, cause: cause(sink) }
}

fn cause(sink: &BrokenSink) -> Cause {
    let problem = sink.problems.first();
    Cause {
        what: problem.map_or_else(|| "its settings cannot be used".to_owned(), ToString::to_string),
        remedy: "correct the file; `trailwire validate` shows all problems".to_owned(),
        code: None,
    }
}
