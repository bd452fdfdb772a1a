#!/usr/bin/env bash
# Builds the components: build/outlast.wasm (world transfer) and build/outlast-keeper.wasm (world keeper).
#
#   wasm-host/build.sh [--tests] [DIR]     DIR instead of build/; --tests adds hostile.wasm, which tests/sandbox.rs needs
#
# Uses rustup's wasm32-unknown-unknown target where it is installed; otherwise Debian's compiler with its library
# sources (packages rustc-web, rust-web-src, lld-19). CARGO_TARGET_DIR, if set, takes the intermediate results.
set -euo pipefail
cd "$(dirname "$0")"
tests=no
if [ "${1:-}" = --tests ]; then
  tests=yes
  shift
fi
out=${1:-build}
mkdir -p "$out"
out=$(cd "$out" && pwd)
target=${CARGO_TARGET_DIR:-$PWD/target}
# The limit of the contract with hosts, bytes.
limit=$((1024 * 1024))

module() { # target directory, cargo arguments…
  local dir=$1
  shift
  # A dynamic library here only: elsewhere no linker would take the names of a component's exports.
  local args=(rustc --locked --profile component --target wasm32-unknown-unknown --crate-type cdylib "$@")
  if rustup target list --installed 2>/dev/null | grep -q wasm32-unknown-unknown; then
    CARGO_TARGET_DIR=$dir cargo "${args[@]}"
  else
    # The whole path: rustup's compiler comes first on PATH and has no sources to build the library from.
    RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-19 \
      CARGO_TARGET_DIR=$dir cargo "${args[@]}" -Z build-std=std,panic_abort
  fi
}

(cd wit && sha256sum --quiet -c deps.sha256)
CARGO_TARGET_DIR=$target cargo build --locked -p outlast-wasm-pack

component() { # name, package, cargo arguments…
  local name=$1 package=$2
  shift 2
  module "$target/component" -p "$package" "$@"
  "$target/debug/outlast-wasm-pack" "$target/component/wasm32-unknown-unknown/component/${package//-/_}.wasm" "$out/$name.wasm"
  local size
  size=$(stat -c %s "$out/$name.wasm")
  if [ "$size" -gt "$limit" ]; then
    echo "$name.wasm has $size bytes, more than $limit" >&2
    exit 1
  fi
}

component outlast outlast-wasm-guest
component outlast-keeper outlast-wasm-guest --no-default-features
if [ $tests = yes ]; then
  component hostile outlast-wasm-hostile
fi
