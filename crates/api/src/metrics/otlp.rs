//! The same numbers for OpenTelemetry. Who exports them, where to and how often is not known here.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::{Metric, Nature, Sample, Signals, Value};

/// Makes one instrument per metric, which reads what [`Signals::collect`] took last.
///
/// OpenTelemetry has no observable histogram. Histograms are exported as Prometheus writes them: counters
/// `…_bucket` with the attribute `le`, `…_sum` and `…_count`.
pub fn register(meter: &Meter, signals: &Arc<Signals>) {
    for metric in Metric::ALL {
        let (metric, name) = (*metric, metric.name());
        match metric.nature() {
            Nature::Gauge => {
                let signals = Arc::clone(signals);
                meter
                    .f64_observable_gauge(name)
                    .with_description(metric.help())
                    .with_callback(move |observer| {
                        each(&signals, metric, |sample, attributes| {
                            if let Some(value) = number(&sample.value) {
                                observer.observe(value, attributes);
                            }
                        });
                    })
                    .build();
            }
            Nature::Counter => counter(meter, signals, metric, name.to_owned(), |sample, attributes, put| {
                if let Value::Int(value) = sample.value {
                    put(value, attributes);
                }
            }),
            Nature::Histogram => histogram(meter, signals, metric),
        }
    }
}

fn histogram(meter: &Meter, signals: &Arc<Signals>, metric: Metric) {
    let name = metric.name();
    counter(meter, signals, metric, format!("{name}_bucket"), |sample, attributes, put| {
        let Value::Histogram { bounds, counts, .. } = &sample.value else { return };
        let mut total = 0;
        for (at, count) in counts.iter().enumerate() {
            total += count;
            let bound = bounds.get(at).map_or_else(|| "+Inf".to_owned(), f64::to_string);
            let mut attributes = attributes.to_vec();
            attributes.push(KeyValue::new("le", bound));
            put(total, &attributes);
        }
    });
    counter(meter, signals, metric, format!("{name}_count"), |sample, attributes, put| {
        if let Value::Histogram { counts, .. } = &sample.value {
            put(counts.iter().sum(), attributes);
        }
    });
    let signals = Arc::clone(signals);
    meter
        .f64_observable_counter(format!("{name}_sum"))
        .with_description(metric.help())
        .with_callback(move |observer| {
            each(&signals, metric, |sample, attributes| {
                if let Value::Histogram { sum, .. } = sample.value {
                    observer.observe(sum, attributes);
                }
            });
        })
        .build();
}

/// Reads the numbers of one counter out of a sample.
type Read = fn(&Sample, &[KeyValue], &mut dyn FnMut(u64, &[KeyValue]));

fn counter(meter: &Meter, signals: &Arc<Signals>, metric: Metric, name: String, read: Read) {
    let signals = Arc::clone(signals);
    meter
        .u64_observable_counter(name)
        .with_description(metric.help())
        .with_callback(move |observer| {
            each(&signals, metric, |sample, attributes| {
                read(sample, attributes, &mut |value, attributes| observer.observe(value, attributes));
            });
        })
        .build();
}

fn each(signals: &Signals, metric: Metric, mut visit: impl FnMut(&Sample, &[KeyValue])) {
    for sample in signals.latest().iter().filter(|sample| sample.metric == metric) {
        let attributes: Vec<KeyValue> =
            sample.labels.iter().map(|(label, value)| KeyValue::new(label.name(), value.clone())).collect();
        visit(sample, &attributes);
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(value) => Some(*value as f64),
        Value::Float(value) => Some(*value),
        Value::Histogram { .. } => None,
    }
}
