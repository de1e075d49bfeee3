#!/usr/bin/env bash
# Installs what the tests need and passes them: formatting, lints, every test of the workspace, the models of
# the lock-free parts under loom, and a release build.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { echo; echo "== $*"; }

step "what the tests need"
tests/setup.sh

step "formatting"
cargo fmt --all --check

step "lints"
cargo clippy --workspace --all-targets --locked -- -D warnings

# The release build comes before the tests, so that a test that times out is not the compiler's doing.
step "release build"
cargo build --release --locked

# Only the library is compiled for loom; all that it depends on is shared with the tests.
step "models of the lock-free parts"
model=$(cargo rustc --locked --lib --profile test --message-format=json -- --cfg loom |
  sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')
"$model" mesh

step "tests"
cargo test --workspace --locked --no-fail-fast
