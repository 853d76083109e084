//! What a bench reports.

use std::fmt;

use serde::Serialize;

/// One figure that a limit holds for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Gate {
    /// What is limited, with its unit.
    pub(crate) name: &'static str,
    /// The figure.
    pub(crate) value: f64,
    /// It must not be above this.
    pub(crate) limit: f64,
}

impl Gate {
    pub(crate) fn passed(&self) -> bool {
        self.value <= self.limit
    }
}

/// One line of a report: a name, a value and its unit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
}

/// Figures of one run, in the order in which they are told.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Run {
    pub(crate) figures: Vec<Figure>,
}

impl Run {
    pub(crate) fn add(&mut self, name: &'static str, value: f64, unit: &'static str) {
        self.figures.push(Figure { name, value, unit });
    }

    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|figure| figure.name == name).map(|figure| figure.value)
    }
}

/// A whole report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    /// Which bench.
    pub(crate) bench: &'static str,
    /// What was run, in words.
    pub(crate) setting: String,
    /// The version of this build, and whether it is optimised.
    pub(crate) build: String,
    /// Every run.
    pub(crate) runs: Vec<Run>,
    /// Limits on the median run.
    pub(crate) gates: Vec<Gate>,
    /// What a reader must know.
    pub(crate) notes: Vec<String>,
}

impl Report {
    pub(crate) fn new(bench: &'static str, setting: String) -> Self {
        let kind = if cfg!(debug_assertions) { "unoptimised: its figures mean nothing" } else { "release" };
        let build = format!("trailwire {} ({kind})", env!("CARGO_PKG_VERSION"));
        Self { bench, setting, build, runs: Vec::new(), gates: Vec::new(), notes: Vec::new() }
    }

    /// Whether no gate is missed.
    pub(crate) fn passed(&self) -> bool {
        self.gates.iter().all(Gate::passed)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}\n{}\n", self.bench, self.setting, self.build)?;
        let first = self.runs.first().map(|run| run.figures.as_slice()).unwrap_or_default();
        for figure in first {
            write!(f, "{:<38}", figure.name)?;
            for run in &self.runs {
                match run.get(figure.name) {
                    Some(value) => write!(f, " {:>12}", rounded(value))?,
                    None => write!(f, " {:>12}", "-")?,
                }
            }
            writeln!(f, "  {}", figure.unit)?;
        }
        if !self.gates.is_empty() {
            writeln!(f)?;
        }
        for gate in &self.gates {
            let word = if gate.passed() { "passed" } else { "MISSED" };
            writeln!(
                f,
                "gate {:<33} {:>12}  at most {}: {word}",
                gate.name,
                rounded(gate.value),
                rounded(gate.limit)
            )?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}

fn rounded(value: f64) -> String {
    if value.abs() >= 1_000.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests;
