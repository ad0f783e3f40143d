#!/usr/bin/env bash
# No tracked source file may exceed 500 lines: longer ones have more than one subject.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
limit=500
status=0
while IFS= read -r -d '' file; do
  [ -f "$file" ] || continue
  lines="$(wc -l <"$file")"
  if [ "$lines" -gt "$limit" ]; then
    echo "$file: $lines lines, more than $limit" >&2
    status=1
  fi
done < <(git ls-files -z -- '*.rs' '*.py' '*.js' '*.mjs')
exit "$status"
