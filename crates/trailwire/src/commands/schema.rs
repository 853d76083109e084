//! `trailwire schema`.

use crate::cli::{Exit, SchemaOf};
use crate::sinks::types;

/// Prints a schema.
#[must_use]
pub fn run(of: SchemaOf) -> Exit {
    let file = match of {
        SchemaOf::Raw => return print(event::schema::RAW),
        SchemaOf::Record => return print(event::schema::RECORD),
        SchemaOf::Trailwire => "trailwire.schema.json",
        SchemaOf::Org => "org.schema.json",
        SchemaOf::Sinks => "sinks.schema.json",
        SchemaOf::SharedSinks => "shared_sinks.schema.json",
    };
    config::schemas(&types())
        .iter()
        .find(|schema| schema.name == file)
        .map_or(Exit::Failure, |schema| print(&schema.text))
}

fn print(text: &str) -> Exit {
    print!("{}{}", text, if text.ends_with('\n') { "" } else { "\n" });
    Exit::Success
}
