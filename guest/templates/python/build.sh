#!/bin/sh
# Builds my-component.wasm. It takes Python 3.10 or later with pip.
set -eu
cd "$(dirname "$0")"
# The tool is pinned in requirements.txt and kept in .tools.
if [ ! -d .tools ]; then
  python3 -m pip install --quiet --disable-pip-version-check --no-input --root-user-action ignore \
    --require-hashes --no-deps --only-binary :all: --target .tools.part -r requirements.txt
  # componentize-py adds this directory to the component: without it, all that this machine's
  # Python has installed.
  mkdir -p .tools.part/lib/site-packages
  mv .tools.part .tools
fi
# --stub-wasi: a component is given what its role needs, and neither files nor an environment.
PYTHONPATH="$PWD/.tools" VIRTUAL_ENV="$PWD/.tools" .tools/bin/componentize-py --quiet \
  --wit-path wit --world component \
  componentize --stub-wasi --python-path src app --output my-component.wasm
echo "built $PWD/my-component.wasm"
