#!/usr/bin/env bash
# Installs the client libraries and judges that the suites of tests/clients use, from PyPI and npm, and
# says where they are, as KEY=VALUE lines:
#     AURICLE_PYTHON_PATH   packages of tests/clients/python/requirements.txt, for PYTHONPATH
#     AURICLE_NODE_MODULES  the folder with node_modules; left out where there is no node or npm
# Everything is pinned with hashes and kept in the user's cache: a second run needs no network. Nothing
# that comes in a package is run while it is installed (wheels only, no npm scripts).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../tests/clients"
CACHE="${AURICLE_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/auricle}/clients"
mkdir -p "$CACHE"

say() { printf 'clients: %s\n' "$*" >&2; }

# A name for what is installed from these files by this version of a program.
name_of() { cat - "${@:2}" <<<"$1" | sha256sum | cut -c 1-16; }

# Puts a folder that has been filled in its place; another run may have been quicker.
place() { mv -T "$1" "$2" 2>/dev/null || { rm -rf "$1"; [ -d "$2" ]; }; }

python_packages() {
  local tag dir part
  tag="$(python3 -c 'import sys, sysconfig; print(sys.version_info[:2], sysconfig.get_platform())')"
  dir="$CACHE/python-$(name_of "$tag" python/requirements.txt)"
  if [ ! -d "$dir" ]; then
    say "installing Python packages"
    part="$(mktemp -d "$CACHE/part.XXXXXX")"
    python3 -m pip install --quiet --disable-pip-version-check --no-input --root-user-action ignore \
      --require-hashes --no-deps --only-binary :all: --target "$part" \
      -r python/requirements.txt >&2 || {
      rm -rf "$part"
      say "pip cannot install tests/clients/python/requirements.txt; see above"
      exit 1
    }
    place "$part" "$dir"
  fi
  echo "AURICLE_PYTHON_PATH=$dir"
}

node_packages() {
  local dir part
  if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    say "no node or npm: the suite of OpenAI's JavaScript library is skipped"
    return 0
  fi
  dir="$CACHE/node-$(name_of npm node/package.json node/package-lock.json)"
  if [ ! -d "$dir" ]; then
    say "installing JavaScript packages"
    part="$(mktemp -d "$CACHE/part.XXXXXX")"
    cp node/package.json node/package-lock.json "$part"
    (cd "$part" && npm ci --ignore-scripts --no-audit --no-fund --silent >&2) || {
      rm -rf "$part"
      say "npm cannot install tests/clients/node/package-lock.json; see above"
      exit 1
    }
    place "$part" "$dir"
  fi
  echo "AURICLE_NODE_MODULES=$dir"
}

python_packages
node_packages
