//! The text format of Prometheus, version 0.0.4.

use std::fmt::Write;

use super::{Label, Metric, Nature, Sample, Value};

/// The content type of what [`render`] writes.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes samples, metric by metric in the order of [`Metric::ALL`].
pub(crate) fn render(samples: &[Sample]) -> String {
    let mut order: Vec<&Sample> = samples.iter().collect();
    order.sort_by_key(|sample| sample.metric);
    let mut out = String::with_capacity(samples.len() * 96);
    let mut last = None;
    for sample in order {
        if last != Some(sample.metric) {
            head(&mut out, sample.metric);
            last = Some(sample.metric);
        }
        line(&mut out, sample);
    }
    out
}

fn head(out: &mut String, metric: Metric) {
    let nature = match metric.nature() {
        Nature::Counter => "counter",
        Nature::Gauge => "gauge",
        Nature::Histogram => "histogram",
    };
    push(out, format_args!("# HELP {0} {1}\n# TYPE {0} {nature}\n", metric.name(), metric.help()));
}

fn line(out: &mut String, sample: &Sample) {
    let name = sample.metric.name();
    match &sample.value {
        Value::Int(value) => {
            series(out, name, "", &sample.labels, None);
            push(out, format_args!("{value}\n"));
        }
        Value::Float(value) => {
            series(out, name, "", &sample.labels, None);
            push(out, format_args!("{value}\n"));
        }
        Value::Histogram { bounds, counts, sum } => {
            let mut total = 0;
            for (at, count) in counts.iter().enumerate() {
                total += count;
                let bound = bounds.get(at).map_or_else(|| "+Inf".to_owned(), f64::to_string);
                series(out, name, "_bucket", &sample.labels, Some(&bound));
                push(out, format_args!("{total}\n"));
            }
            series(out, name, "_sum", &sample.labels, None);
            push(out, format_args!("{sum}\n"));
            series(out, name, "_count", &sample.labels, None);
            push(out, format_args!("{total}\n"));
        }
    }
}

fn series(out: &mut String, name: &str, suffix: &str, labels: &[(Label, String)], le: Option<&str>) {
    out.push_str(name);
    out.push_str(suffix);
    let labels = labels.iter().map(|(label, value)| (label.name(), value.as_str()));
    let mut separator = '{';
    for (label, value) in labels.chain(le.map(|bound| ("le", bound))) {
        out.push(separator);
        separator = ',';
        out.push_str(label);
        out.push_str("=\"");
        escape(out, value);
        out.push('"');
    }
    if separator == ',' {
        out.push('}');
    }
    out.push(' ');
}

/// Label values may hold anything but a bare backslash, quote or line feed.
fn escape(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a String cannot fail")
}
