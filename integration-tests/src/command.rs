//! Commands of the binary other than `run`.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::workspace::PRODUCER_TOKEN;

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Its standard output as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// Runs the binary with these arguments, in `folder`.
#[must_use]
pub fn run(binary: &Path, folder: &Path, arguments: &[&str]) -> Said {
    run_with(binary, folder, arguments, &[], b"")
}

/// The same with variables and standard input.
#[must_use]
pub fn run_with(
    binary: &Path,
    folder: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
    input: &[u8],
) -> Said {
    let mut child = Command::new(binary)
        .args(arguments)
        .current_dir(folder)
        .env("TEST_PRODUCER_TOKEN", PRODUCER_TOKEN)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        // A command that ends without reading its input breaks the pipe: that is its good right.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().unwrap()
    });
    said(&output)
}

fn said(output: &Output) -> Said {
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
