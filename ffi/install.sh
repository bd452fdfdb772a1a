#!/usr/bin/env bash
# Installs library, header, pkg-config file and CMake package:  PREFIX=/usr/local DESTDIR= ffi/install.sh
#
# LIBRARY names a directory with liboutlast.so and liboutlast.a that were built before; without it cargo builds them.
set -euo pipefail
cd "$(dirname "$0")/.."
prefix=${PREFIX:-/usr/local}
root=${DESTDIR:-}$prefix
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
if [ -z "${LIBRARY:-}" ]; then
  cargo build --release --locked -p outlast-ffi
  LIBRARY=${CARGO_TARGET_DIR:-target}/release
fi
install -d "$root/lib/pkgconfig" "$root/lib/cmake/outlast" "$root/include"
install -m 755 "$LIBRARY/liboutlast.so" "$root/lib/liboutlast.so.$version"
ln -sfn "liboutlast.so.$version" "$root/lib/liboutlast.so.0"
ln -sfn liboutlast.so.0 "$root/lib/liboutlast.so"
install -m 644 "$LIBRARY/liboutlast.a" "$root/lib/liboutlast.a"
install -m 644 include/outlast.h "$root/include/outlast.h"
install -m 644 ffi/package/outlast-config.cmake "$root/lib/cmake/outlast/outlast-config.cmake"
sed -e "s|@PREFIX@|$prefix|" -e "s|@VERSION@|$version|" ffi/package/outlast.pc.in >"$root/lib/pkgconfig/outlast.pc"
sed -e "s|@VERSION@|$version|" ffi/package/outlast-config-version.cmake.in >"$root/lib/cmake/outlast/outlast-config-version.cmake"
echo "installed liboutlast $version under $root"
