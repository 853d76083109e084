use std::collections::HashSet;
use std::sync::Arc;

use event::OrgId;
use event::reject::Code;
use flow::log::Scope;
use futures_util::future::BoxFuture;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};

use super::*;
use crate::status::{OrgText, Status, StatusSource};

/// A process whose numbers are given.
#[derive(Debug, Default)]
pub(crate) struct Given {
    pub(crate) status: Status,
    pub(crate) missing: Option<String>,
}

impl StatusSource for Given {
    fn status(&self) -> BoxFuture<'_, Status> {
        Box::pin(async { self.status.clone() })
    }

    fn ready(&self) -> Result<(), String> {
        self.missing.clone().map_or(Ok(()), Err)
    }
}

pub(crate) fn signals(status: Status) -> Arc<Signals> {
    let tallies = Arc::new(Tallies::default());
    let tally = tallies.of("http", "gate\"way\\\n");
    tally.stored(7, 3);
    tally.rejected(Code::BadJson, 2);
    tally.body(100, 900);
    tallies.request(200, std::time::Duration::from_millis(3));
    tallies.request(503, std::time::Duration::from_secs(60));
    Signals::new(tallies, Arc::new(Given { status, missing: None }))
}

#[tokio::test]
async fn the_text_for_prometheus_is_fixed() {
    let mut status = crate::status::tests::status();
    status.sinks.truncate(1);
    insta::assert_snapshot!("metrics", render(&signals(status).collect().await));
}

#[test]
fn names_are_unique_and_follow_the_rules() {
    let mut names = HashSet::new();
    for metric in Metric::ALL {
        let name = metric.name();
        assert!(names.insert(name), "{name} twice");
        assert!(name.starts_with("trailwire_"), "{name}");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
        if name.ends_with("_total") {
            assert_eq!(metric.nature(), Nature::Counter, "{name}");
        }
    }
}

#[tokio::test]
async fn many_sinks_are_summed_up() {
    let mut status = crate::status::tests::status();
    let one = status.sinks.remove(0);
    status.sinks = (0..1500)
        .map(|number| {
            let mut sink = one.clone();
            let org = OrgId::new(&format!("org-{number:04}")).unwrap();
            sink.scope = Some(Scope::one(org.clone()));
            sink.org = Some(OrgText(org));
            sink
        })
        .collect();
    let samples = signals(status).collect().await;
    let delivered: Vec<_> = samples.iter().filter(|sample| sample.metric == Metric::SinkDelivered).collect();
    assert_eq!(delivered.len(), 1001);
    let total: u64 = delivered
        .iter()
        .map(|sample| match sample.value {
            Value::Int(n) => n,
            _ => 0,
        })
        .sum();
    assert_eq!(total, 1500 * 50, "nothing is lost in the sum");
    let other = delivered.last().unwrap();
    assert!(other.labels.contains(&(Label::Org, "other".to_owned())));
    assert_eq!(other.value, Value::Int(500 * 50));
    let unbalanced = samples.iter().find(|sample| sample.metric == Metric::SinksUnbalanced).unwrap();
    assert_eq!(unbalanced.value, Value::Int(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_exports_the_same_numbers() {
    let exporter = InMemoryMetricExporter::default();
    let provider =
        SdkMeterProvider::builder().with_reader(PeriodicReader::builder(exporter.clone()).build()).build();
    let signals = signals(crate::status::tests::status());
    register(&provider.meter("trailwire"), &signals);
    let samples = signals.collect().await;
    tokio::task::spawn_blocking(move || provider.force_flush()).await.unwrap().unwrap();

    let exported = exporter.get_finished_metrics().unwrap();
    let mut names = HashSet::new();
    let mut text = String::new();
    for scope in exported.iter().flat_map(|resource| resource.scope_metrics()) {
        for metric in scope.metrics() {
            names.insert(metric.name().to_owned());
            text.push_str(&format!("{} {:?}\n", metric.name(), metric.data()));
        }
    }
    for sample in samples.iter() {
        let name = sample.metric.name();
        match sample.metric.nature() {
            Nature::Histogram => {
                for suffix in ["_bucket", "_sum", "_count"] {
                    assert!(names.contains(&format!("{name}{suffix}")), "{name}{suffix}");
                }
            }
            Nature::Counter | Nature::Gauge => assert!(names.contains(name), "{name}"),
        }
    }
    let accepted = text.lines().find(|line| line.starts_with("trailwire_events_accepted_total ")).unwrap();
    assert!(accepted.contains("value: 7"), "{accepted}");
    let buckets = text.lines().find(|line| line.starts_with("trailwire_journal_block_rows_bucket ")).unwrap();
    assert!(buckets.contains("+Inf") && buckets.contains("value: 4"), "{buckets}");
}
