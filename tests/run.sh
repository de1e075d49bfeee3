#!/usr/bin/env bash
# Installs what the tests need and passes them: formatting, lints, every test of the workspace, the models of
# the lock-free parts under loom, and a release build.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}

step() { echo; echo "== $*"; }

step "what the tests need"
tests/setup.sh

step "formatting"
cargo fmt --all --check

step "lints"
cargo clippy --workspace --all-targets --locked -- -D warnings

# The release build comes before the tests, so that a test that times out is not the compiler's doing.
step "release build"
cargo build --release --workspace --locked

step "models of the lock-free parts"
RUSTFLAGS="--cfg loom" CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
  cargo test --release --locked --lib --target-dir "$target/loom" mesh

step "tests"
cargo test --workspace --locked --no-fail-fast
