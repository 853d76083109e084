//! The product's binary, built by the tests themselves.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

static BUILDING: Mutex<()> = Mutex::new(());

/// The repository's root.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Builds `trailwire` with these features and returns a copy of it that no later build overwrites.
#[must_use]
pub fn build(features: &[&str]) -> PathBuf {
    let _one_at_a_time = BUILDING.lock().unwrap();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "-p", "trailwire", "--locked", "--message-format", "json-render-diagnostics"]);
    if !features.is_empty() {
        command.args(["--features", &features.join(",")]);
    }
    let output = command.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "building trailwire: {}", String::from_utf8_lossy(&output.stderr));
    let executable = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "trailwire")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("cargo names the executable it built");
    let name = if features.is_empty() { "plain".to_owned() } else { features.join("-") };
    let copy = executable.with_file_name(format!("trailwire-under-test-{name}"));
    let fresh = copy.with_extension(std::process::id().to_string());
    std::fs::copy(&executable, &fresh).unwrap();
    std::fs::rename(&fresh, &copy).unwrap();
    copy
}
