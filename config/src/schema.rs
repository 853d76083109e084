//! JSON Schemas of the YAML files, for editors and for other programs.

use schemars::{Schema, SchemaGenerator, schema_for};
use serde_json::{Map, Value, json};

use crate::operator::RawOperator;
use crate::org::RawOrg;
use crate::selection::RawSelection;
use crate::sink::{RawCommon, SinkType};

#[cfg(test)]
mod tests;

/// A schema and the name of its file in `config/schemas/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaFile {
    /// Such as `trailwire.schema.json`.
    pub name: &'static str,
    /// The schema, formatted, with a final newline.
    pub text: String,
}

/// The schemas of all files.
#[must_use]
pub fn schemas<T>(types: &[SinkType<T>]) -> Vec<SchemaFile> {
    vec![
        file("trailwire.schema.json", operator()),
        file("org.schema.json", versioned(Value::from(schema_for!(RawOrg)))),
        file("sinks.schema.json", sinks(types, false)),
        file("shared_sinks.schema.json", sinks(types, true)),
    ]
}

fn file(name: &'static str, mut schema: Value) -> SchemaFile {
    plain_names(&mut schema);
    SchemaFile { name, text: format!("{schema:#}\n") }
}

/// Parts of `trailwire.yaml` that have no defaults, so that what they require is really required.
const WITHOUT_DEFAULTS: [&str; 3] = ["RawProducer", "RawGrant", "RawAllowedNet"];

fn operator() -> Value {
    let mut schema = Value::from(schema_for!(RawOperator));
    if let Some(parts) = schema.get_mut("$defs").and_then(Value::as_object_mut) {
        for (name, part) in parts {
            if !WITHOUT_DEFAULTS.contains(&name.as_str())
                && let Some(part) = part.as_object_mut()
            {
                part.remove("required");
            }
        }
    }
    set(&mut schema, "required", json!(["version"]));
    versioned(schema)
}

fn versioned(mut schema: Value) -> Value {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("version".to_owned(), version());
    }
    schema
}

fn version() -> Value {
    json!({ "const": crate::version::CURRENT, "description": "The version of this format." })
}

fn sinks<T>(types: &[SinkType<T>], shared: bool) -> Value {
    let mut generator = SchemaGenerator::default();
    let selection = generator.subschema_for::<RawSelection>();
    let mut defs: Map<String, Value> = generator.take_definitions(true);
    let variants: Vec<Value> =
        types.iter().map(|kind| sink(kind, shared.then(|| selection.clone()), &mut defs)).collect();
    let title = if shared {
        "The operator's sinks: shared_sinks.yaml."
    } else {
        "An organisation's sinks: sinks.yaml."
    };
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        "required": ["version"],
        "properties": {
            "version": version(),
            "sinks": {
                "description": "The sinks by name.",
                "type": ["object", "null"],
                "propertyNames": { "pattern": "^[A-Za-z0-9_-]{1,64}$" },
                "additionalProperties": { "oneOf": variants },
            },
        },
        "additionalProperties": false,
        "$defs": defs,
    })
}

/// The common keys and those of one type as one object: JSON Schema cannot forbid other keys of two objects joined.
fn sink<T>(kind: &SinkType<T>, orgs: Option<Schema>, defs: &mut Map<String, Value>) -> Value {
    let mut own = Value::from((kind.schema)());
    let mut shared = Value::from(schema_for!(RawCommon));
    let mut properties = Map::new();
    let mut required = vec![json!("type")];
    properties.insert("type".to_owned(), json!({ "const": kind.name, "description": "The type of sink." }));
    if let Some(orgs) = orgs {
        properties.insert("orgs".to_owned(), orgs.to_value());
        required.push(json!("orgs"));
    }
    for schema in [&mut own, &mut shared] {
        for (from, to) in [("properties", &mut properties), ("$defs", &mut *defs)] {
            if let Some(found) = schema.get_mut(from).and_then(Value::as_object_mut) {
                to.extend(std::mem::take(found));
            }
        }
        if let Some(found) = schema.get_mut("required").and_then(Value::as_array_mut) {
            required.append(found);
        }
    }
    json!({
        "title": kind.name,
        "description": own.get("description").cloned().unwrap_or_default(),
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn set(schema: &mut Value, key: &str, value: Value) {
    if let Some(object) = schema.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

/// Removes our prefix `Raw` from names that readers of a schema see.
fn plain_names(value: &mut Value) {
    match value {
        Value::Object(object) => {
            let entries = std::mem::take(object);
            for (key, mut value) in entries {
                plain_names(&mut value);
                if matches!(key.as_str(), "$ref" | "title")
                    && let Value::String(name) = &mut value
                {
                    *name = name.replace("$defs/Raw", "$defs/").trim_start_matches("Raw").to_owned();
                }
                object.insert(key.strip_prefix("Raw").map_or_else(|| key.clone(), str::to_owned), value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(plain_names),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
