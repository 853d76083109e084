//! The table of sink types, and from a sink's configuration to what the delivery engine needs.

use std::collections::BTreeSet;
use std::sync::Arc;

use config::{BrokenSink, Loaded, Selection, SinkConfig, SinkType, StartFrom};
use flow::clock::UnixMillis;
use flow::lane::{Begin, SinkSpec, Target};
use flow::log::Scope;
use flow::sink::Cause;

/// The settings of a sink of any type.
#[derive(Debug, Clone)]
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

/// What the engine needs for each sink that is written down, whether it can be made or not.
#[must_use]
pub fn specs(loaded: &Configuration, client: &egress::Client) -> Vec<SinkSpec> {
    let mut specs: Vec<SinkSpec> = loaded.sinks.iter().map(|sink| spec(sink, client)).collect();
    specs.extend(loaded.broken.iter().filter_map(broken));
    specs
}

fn spec(sink: &SinkConfig<SinkSettings>, client: &egress::Client) -> SinkSpec {
    let scope = match &sink.orgs {
        Selection::All => Scope::All,
        Selection::These(orgs) => Scope::Orgs(Arc::new(orgs.iter().cloned().collect::<BTreeSet<_>>())),
    };
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
        scope,
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
fn broken(sink: &BrokenSink) -> Option<SinkSpec> {
    let name = sink.name.clone()?;
    if sink.owner.is_none() && sink.folder.is_some() {
        // Nobody knows whose it is: the problem is shown, no lane can be made.
        return None;
    }
    let scope = sink.owner.clone().map_or(Scope::All, Scope::one);
    let problem = sink.problems.first();
    Some(SinkSpec {
        owner: sink.owner.clone(),
        name,
        kind: "unknown",
        scope,
        target: Target::Unusable(Cause {
            what: problem.map_or_else(|| "its settings cannot be used".to_owned(), ToString::to_string),
            remedy: "correct the file; `trailwire validate` shows all problems".to_owned(),
            code: None,
        }),
        concurrency: 1,
        lane_concurrency: 1,
        max_delay: std::time::Duration::from_secs(1),
        begin: Begin::End,
        plan_epoch: 0,
        paused: false,
    })
}
