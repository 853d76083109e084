#!/usr/bin/env bash
# Installs what the tests need and passes them all. Unit, property, snapshot, compile-fail, end-to-end and crash tests.
set -euo pipefail
cd "$(dirname "$0")"
need() { # need COMMAND PACKAGE...
  local command=$1; shift
  command -v "$command" >/dev/null 2>&1 && return
  if [ "$(id -u)" = 0 ]; then apt-get update -q && apt-get install -y -q --no-install-recommends "$@"
  else sudo apt-get update -q && sudo apt-get install -y -q --no-install-recommends "$@"; fi
}
need cc gcc libc6-dev
need curl curl
need zstd zstd
cargo test --workspace --locked --no-fail-fast -- --quiet 2>&1 | tee target-test.log
status=${PIPESTATUS[0]}
passed=$(grep -E '^test result:' target-test.log | sed -E 's/.* ([0-9]+) passed.*/\1/' | paste -sd+ | bc 2>/dev/null || echo 0)
failed=$(grep -E '^test result:' target-test.log | sed -E 's/.* ([0-9]+) failed.*/\1/' | paste -sd+ | bc 2>/dev/null || echo 0)
rm -f target-test.log
echo "${passed:-0} passed, ${failed:-0} failed"
exit "$status"
