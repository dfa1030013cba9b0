#!/usr/bin/env bash
# Rewrite requirements/*.txt from pyproject.toml: exact versions, every hash, and no registry host.
#
# Pins already there are kept; pass --upgrade (or --upgrade-package NAME) to move them.
# pip-tools is installed into a throwaway environment, because nothing else here needs it.
set -euo pipefail
cd "$(dirname "$0")/.."

scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet pip-tools

compile() {
  local out="$1"
  shift
  grep -v '^#' "requirements/$out" >"$scratch/$out" 2>/dev/null || true
  "$scratch/venv/bin/pip-compile" --quiet --generate-hashes --allow-unsafe --strip-extras --no-header \
    --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --annotation-style line \
    --output-file "$scratch/$out" "$@"
  {
    echo "# Exact versions with hashes, made by scripts/pin_requirements.sh; edit pyproject.toml, then run it."
    grep -v '^#' "$scratch/$out"
  } >"requirements/$out"
}

compile runtime.txt --all-build-deps "$@" pyproject.toml
compile dev.txt --all-build-deps --extra dev --constraint requirements/runtime.txt "$@" pyproject.toml
compile postgres.txt "$@" requirements/postgres.in
# Servers that the tests talk to; each has an environment of its own, none is part of the product.
mkdir -p "$scratch/peers"
for peer in tryton helpdesk; do compile "peers/$peer.txt" "$@" "requirements/peers/$peer.in"; done

if grep -nE '://|--index-url|--find-links|--trusted-host' requirements/*.txt requirements/peers/*.txt; then
  echo "a registry host leaked into requirements/" >&2
  exit 1
fi
