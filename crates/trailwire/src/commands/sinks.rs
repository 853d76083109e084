//! `trailwire sinks list|status`.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use flow::clock::Clock;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};

use super::load;
use crate::cli::{ConfigArgs, Exit, SinksCommand};
use crate::operator_client;
use crate::run::owner_text;

/// The largest status page that is read: a sink takes less than a kilobyte of it, and there may be tens of thousands.
const MAX_PAGE: usize = 64 << 20;

/// Runs one of them.
///
/// # Errors
/// When the daemon cannot be asked.
pub async fn run(command: &SinksCommand, environment: &BTreeMap<String, String>) -> anyhow::Result<Exit> {
    match command {
        SinksCommand::List { config, json } => Ok(list(config, *json, environment)),
        SinksCommand::Status { config, admin, json } => {
            status(config, admin.as_deref(), *json, environment).await
        }
    }
}

fn list(config: &ConfigArgs, as_json: bool, environment: &BTreeMap<String, String>) -> Exit {
    let loaded = match load(&config.config, environment) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let good = loaded
        .sinks
        .iter()
        .map(|sink| (owner_text(sink.owner.as_ref()), sink.name.clone(), sink.sink_type, "ready"));
    let broken = loaded.broken.iter().map(|sink| {
        let name = sink.name.clone().unwrap_or_else(|| "(whole file)".to_owned());
        (owner_text(sink.owner.as_ref()), name, "", "blocked by its settings")
    });
    let rows: Vec<_> = good.chain(broken).collect();
    if as_json {
        let sinks: Vec<Value> = rows
            .iter()
            .map(
                |(org, name, kind, state)| json!({"org": org, "name": name, "type": kind, "settings": state}),
            )
            .collect();
        println!("{}", json!({ "sinks": sinks }));
    } else {
        println!("{:<38} {:<24} {:<12} settings", "organisation", "sink", "type");
        for (org, name, kind, state) in rows {
            println!("{org:<38} {name:<24} {kind:<12} {state}");
        }
    }
    Exit::Success
}

async fn status(
    config: &ConfigArgs,
    admin: Option<&str>,
    as_json: bool,
    environment: &BTreeMap<String, String>,
) -> anyhow::Result<Exit> {
    let url = match admin {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => match load(&config.config, environment) {
            Ok(loaded) => format!("http://{}", loaded.operator.listen.admin),
            Err(exit) => return Ok(exit),
        },
    };
    let page = ask(&url, environment.get("TRAILWIRE_ADMIN_TOKEN").map(String::as_str)).await?;
    if as_json {
        println!("{page}");
    } else {
        print(&page);
    }
    Ok(Exit::Success)
}

async fn ask(url: &str, token: Option<&str>) -> anyhow::Result<Value> {
    let uri: Uri = format!("{url}/v1/status").parse().with_context(|| format!("`{url}` is no URL"))?;
    let client = operator_client::client(&[], &Clock::system())?;
    let endpoint = client.endpoint(egress::OPERATOR, &uri)?.reading(MAX_PAGE);
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).context("the admin token")?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let target = uri.path_and_query().cloned().context("the URL has no path")?;
    let request = egress::Request {
        method: Method::GET,
        target,
        headers,
        body: Bytes::new(),
        timeout: Duration::from_secs(10),
    };
    let reply = endpoint
        .send(request)
        .await
        .with_context(|| format!("asking {url}: does the daemon run, and is this its admin listener?"))?;
    if !reply.status.is_success() {
        bail!("{url} answered {}: {}", reply.status, String::from_utf8_lossy(&reply.body));
    }
    if reply.truncated {
        bail!("the status page of {url} is larger than {} MiB", MAX_PAGE >> 20);
    }
    serde_json::from_slice(&reply.body).context("reading the status page")
}

fn print(page: &Value) {
    println!(
        "{:<38} {:<20} {:<12} {:>10} {:>10} {:>8} last error",
        "organisation", "sink", "state", "delivered", "pending", "lag"
    );
    for sink in page.get("sinks").and_then(Value::as_array).into_iter().flatten() {
        let text = |key: &str| sink.get(key).and_then(Value::as_str).unwrap_or("*").to_owned();
        let number = |key: &str| sink.get(key).and_then(Value::as_u64).unwrap_or(0);
        let lag = sink.get("lag_seconds").and_then(Value::as_f64).unwrap_or(0.0);
        let error =
            sink.get("last_error").filter(|error| !error.is_null()).map_or_else(String::new, |error| {
                let part = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                format!("{}; {}", part("what"), part("remedy"))
            });
        println!(
            "{:<38} {:<20} {:<12} {:>10} {:>10} {:>7.1}s {error}",
            text("org"),
            text("name"),
            text("state"),
            number("delivered"),
            number("pending"),
            lag
        );
    }
}
