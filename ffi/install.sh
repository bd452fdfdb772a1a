#!/usr/bin/env bash
# Installs library, header, pkg-config file and CMake package:
#
#   PREFIX=/usr/local DESTDIR= LIBDIR=lib ffi/install.sh
#
# LIBDIR is below PREFIX: lib, lib64, lib/x86_64-linux-gnu, as the distribution has it. DESTDIR is where a package is put
# together. LIBRARY names a directory with liboutlast.so and liboutlast.a that were built before; without it cargo builds them.
set -euo pipefail
cd "$(dirname "$0")/.."
prefix=${PREFIX:-/usr/local}
libdir=${LIBDIR:-lib}
case $libdir in /* | *..*) echo "LIBDIR is $libdir; it is a path below PREFIX, for example lib64" >&2 && exit 2 ;; esac
case $prefix in /*) ;; *) echo "PREFIX is $prefix; it must begin with /" >&2 && exit 2 ;; esac
root=${DESTDIR:-}$prefix
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
if [ -z "${LIBRARY:-}" ]; then
  cargo build --release --locked -p outlast-ffi
  LIBRARY=${CARGO_TARGET_DIR:-target}/release
fi
# From the CMake package up to the prefix, so that an installation can be moved as a whole.
up=$(sed 's|[^/][^/]*|..|g' <<<"$libdir/cmake/outlast")
# Everybody may read it, whatever the umask is.
fill() { # template, target
  sed -e "s|@PREFIX@|$prefix|" -e "s|@LIBDIR@|$libdir|" -e "s|@UP@|$up|" -e "s|@VERSION@|$version|" "ffi/package/$1" |
    install -m 644 /dev/stdin "$root/$2"
}
install -d -m 755 "$root/$libdir/pkgconfig" "$root/$libdir/cmake/outlast" "$root/include"
install -m 755 "$LIBRARY/liboutlast.so" "$root/$libdir/liboutlast.so.$version"
ln -sfn "liboutlast.so.$version" "$root/$libdir/liboutlast.so.0"
ln -sfn liboutlast.so.0 "$root/$libdir/liboutlast.so"
install -m 644 "$LIBRARY/liboutlast.a" "$root/$libdir/liboutlast.a"
install -m 644 include/outlast.h "$root/include/outlast.h"
fill outlast.pc.in "$libdir/pkgconfig/outlast.pc"
fill outlast-config.cmake.in "$libdir/cmake/outlast/outlast-config.cmake"
fill outlast-config-version.cmake.in "$libdir/cmake/outlast/outlast-config-version.cmake"
echo "installed liboutlast $version under $root"
