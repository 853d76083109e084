#!/usr/bin/env bash
# Installs what the tests need and passes them all. Unit, property, snapshot, compile-fail, end-to-end and crash tests.
# The last line is `N passed, N failed`.
set -euo pipefail
cd "$(dirname "$0")"
need() { # need COMMAND PACKAGE...
  local command=$1; shift
  command -v "$command" >/dev/null 2>&1 && return
  local root=(); [ "$(id -u)" = 0 ] || root=(sudo)
  "${root[@]}" apt-get update -q && "${root[@]}" apt-get install -y -q --no-install-recommends "$@"
}
need cc gcc libc6-dev
need curl curl ca-certificates
need git git
command -v cargo >/dev/null 2>&1 || { echo "cargo is missing: install Rust from https://rustup.rs" >&2; exit 1; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
# With the fail points compiled in (nothing happens at them unless a test arms them), so that the tests of the journal's
# faults run too.
cargo test --workspace --locked --no-fail-fast --features trailwire/failpoints -- --quiet 2>&1 | tee "$log" ||
  status=$?
awk '/^test result:/ { for (i = 2; i <= NF; i++) { if ($i ~ /^passed/) passed += $(i - 1); if ($i ~ /^failed/) failed += $(i - 1) } }
     END { printf "%d passed, %d failed\n", passed, failed }' "$log"
exit "$status"
