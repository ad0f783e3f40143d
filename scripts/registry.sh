#!/usr/bin/env bash
# Has an OCI registry for the tests, Debian's docker-registry, and says where it is, as a line
#     AURICLE_REGISTRY_PROGRAM=PATH
# Its package is fetched and unpacked into the user's cache, not installed: an installed one starts a
# daemon. Prints nothing, and says why on standard error, where Debian's packages are not to be had.
set -euo pipefail

CACHE="${AURICLE_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/auricle}/registry"
PROGRAM="$CACHE/usr/bin/docker-registry"

say() { printf 'registry: %s\n' "$*" >&2; }

if [ ! -x "$PROGRAM" ]; then
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || {
    say "no apt-get: the test with a registry is skipped"
    exit 0
  }
  mkdir -p "$CACHE"
  part="$(mktemp -d "$CACHE/part.XXXXXX")"
  trap 'rm -rf "$part"' EXIT
  # apt checks the package against Debian's signed list.
  (cd "$part" && apt-get -q download docker-registry >&2 2>/dev/null) || {
    say "apt-get cannot download docker-registry: the test with a registry is skipped"
    exit 0
  }
  dpkg-deb -x "$part"/docker-registry_*.deb "$part/unpacked"
  mkdir -p "$CACHE/usr/bin"
  # Another run may have been quicker; what it moved is the same.
  mv -f "$part/unpacked/usr/bin/docker-registry" "$PROGRAM"
fi
echo "AURICLE_REGISTRY_PROGRAM=$PROGRAM"
