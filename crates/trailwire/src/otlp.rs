//! Metrics to an OpenTelemetry collector: OTLP over HTTP. The operator names the collector, so it may be anywhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context;
use api::metrics::Signals;
use bytes::Bytes;
use flow::clock::Clock;
use http::{Response, Uri};
use opentelemetry::metrics::MeterProvider;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{MetricExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often numbers are taken and sent.
const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(10);
/// Of exports that fail in a row the first is logged, and then one in so many: one in ten minutes.
const LOGGED: u32 = 20;

/// Starts exporting until `stopped` turns true, with `client`, which must be the operator's. The task ends once the last
/// numbers are sent, or could not be.
///
/// # Errors
/// When the endpoint is no URL, or the exporter cannot be made.
pub fn start(
    endpoint: &str,
    client: &egress::Client,
    signals: &Arc<Signals>,
    clock: &Clock,
    mut stopped: watch::Receiver<bool>,
) -> anyhow::Result<JoinHandle<()>> {
    let base = endpoint.trim_end_matches('/');
    let target: Uri = format!("{base}/v1/metrics").parse().context("it is no URL")?;
    let endpoint = client.endpoint(egress::OPERATOR, &target)?;
    let transport =
        Transport { endpoint: Arc::new(endpoint), runtime: Handle::current(), failed: Arc::default() };
    let exporter = MetricExporter::builder()
        .with_http()
        .with_http_client(transport)
        .with_endpoint(target.to_string())
        .with_timeout(TIMEOUT)
        .build()
        .context("making the exporter")?;
    let reader = PeriodicReader::builder(exporter).with_interval(INTERVAL).build();
    let resource = Resource::builder()
        .with_service_name("trailwire")
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let provider = SdkMeterProvider::builder().with_reader(reader).with_resource(resource).build();
    api::metrics::register(&provider.meter("trailwire"), signals);
    let (signals, clock) = (Arc::clone(signals), clock.clone());
    Ok(tokio::spawn(async move {
        loop {
            drop(signals.collect().await);
            let next = clock.now().instant + INTERVAL / 2;
            tokio::select! {
                () = clock.sleep_until(next) => {}
                _ = stopped.wait_for(|stop| *stop) => break,
            }
        }
        drop(signals.collect().await);
        // The last numbers are sent on the exporter's own thread, which needs this runtime.
        let ended = tokio::task::spawn_blocking(move || provider.shutdown()).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "the last metrics were not exported");
        }
    }))
}

/// The exporter's way out. It is called on the exporter's own thread, so the exchange runs on our runtime.
#[derive(Debug, Clone)]
struct Transport {
    endpoint: Arc<egress::Endpoint>,
    runtime: Handle,
    /// How many exports have failed since one was taken. The exporter keeps its failures to itself.
    failed: Arc<AtomicU32>,
}

impl Transport {
    fn note(&self, outcome: Result<u16, &str>) {
        let what = match outcome {
            Ok(200..=299) => {
                if self.failed.swap(0, Ordering::Relaxed) > 0 {
                    tracing::info!("the metrics collector takes exports again");
                }
                return;
            }
            Ok(status) => format!("it answered HTTP {status}"),
            Err(what) => what.to_owned(),
        };
        let before = self.failed.fetch_add(1, Ordering::Relaxed);
        if before.is_multiple_of(LOGGED) {
            tracing::warn!(what, failed = before + 1, "metrics were not exported to telemetry.otlp_endpoint");
        }
    }
}

#[async_trait::async_trait]
impl HttpClient for Transport {
    async fn send_bytes(&self, request: http::Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let endpoint = Arc::clone(&self.endpoint);
        let (head, body) = request.into_parts();
        let exchange = self.runtime.spawn(async move {
            let target = head.uri.path_and_query().cloned().ok_or("the exporter gave no path")?;
            let request = egress::Request {
                method: head.method,
                target,
                headers: head.headers,
                body,
                timeout: TIMEOUT,
            };
            let reply = endpoint.send(request).await.map_err(|fault| fault.to_string())?;
            let mut response = Response::new(reply.body);
            *response.status_mut() = reply.status;
            Ok::<_, String>(response)
        });
        let outcome = exchange.await?;
        self.note(outcome.as_ref().map(|response| response.status().as_u16()).map_err(String::as_str));
        Ok(outcome?)
    }
}
