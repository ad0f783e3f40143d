#!/usr/bin/env bash
# Installs what the tests take from PyPI and npm: the client libraries and judges of tests/clients, and
# the tools that make components of guests in JavaScript and Python (guest/templates). Says where they
# are, as KEY=VALUE lines:
#     AURICLE_PYTHON_PATH         packages of tests/clients/python/requirements.txt, for PYTHONPATH
#     AURICLE_NODE_MODULES        the folder with node_modules of tests/clients/node
#     AURICLE_GUEST_PYTHON_TOOLS  packages of guest/templates/python/requirements.txt
#     AURICLE_GUEST_NODE_TOOLS    the folder with node_modules of guest/templates/js
# Those of npm are left out where there is no node or npm. Everything is pinned with hashes and kept in
# the user's cache: a second run needs no network. Nothing that comes in a package is run while it is
# installed (wheels only, no npm scripts).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
CACHE="${AURICLE_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/auricle}/clients"
mkdir -p "$CACHE"

say() { printf 'packages: %s\n' "$*" >&2; }

# A name for what is installed from these files by this version of a program.
name_of() { cat - "${@:2}" <<<"$1" | sha256sum | cut -c 1-16; }

# Puts a folder that has been filled in its place; another run may have been quicker.
place() { mv -T "$1" "$2" 2>/dev/null || { rm -rf "$1"; [ -d "$2" ]; }; }

# python_packages FOLDER KEY: what FOLDER/requirements.txt names
python_packages() {
  local tag dir part wanted="$1/requirements.txt"
  tag="$(python3 -c 'import sys, sysconfig; print(sys.version_info[:2], sysconfig.get_platform())')"
  dir="$CACHE/python-$(name_of "$tag" "$wanted")"
  if [ ! -d "$dir" ]; then
    say "installing $wanted"
    part="$(mktemp -d "$CACHE/part.XXXXXX")"
    python3 -m pip install --quiet --disable-pip-version-check --no-input --root-user-action ignore \
      --require-hashes --no-deps --only-binary :all: --target "$part" -r "$wanted" >&2 || {
      rm -rf "$part"
      say "pip cannot install $wanted; see above"
      exit 1
    }
    place "$part" "$dir"
  fi
  echo "$2=$dir"
}

# node_packages FOLDER KEY: what FOLDER/package-lock.json names
node_packages() {
  local dir part
  if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    say "no node or npm: what takes $1 is skipped"
    return 0
  fi
  dir="$CACHE/node-$(name_of npm "$1/package.json" "$1/package-lock.json")"
  if [ ! -d "$dir" ]; then
    say "installing $1/package-lock.json"
    part="$(mktemp -d "$CACHE/part.XXXXXX")"
    cp "$1/package.json" "$1/package-lock.json" "$part"
    (cd "$part" && npm ci --ignore-scripts --no-audit --no-fund --silent >&2) || {
      rm -rf "$part"
      say "npm cannot install $1/package-lock.json; see above"
      exit 1
    }
    place "$part" "$dir"
  fi
  echo "$2=$dir"
}

python_packages tests/clients/python AURICLE_PYTHON_PATH
node_packages tests/clients/node AURICLE_NODE_MODULES
python_packages guest/templates/python AURICLE_GUEST_PYTHON_TOOLS
node_packages guest/templates/js AURICLE_GUEST_NODE_TOOLS
