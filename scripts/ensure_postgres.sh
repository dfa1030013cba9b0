#!/usr/bin/env bash
# See to it that the tests find PostgreSQL: on the machine, else from apt, else from a Python package.
#
# Never fails: where nothing works, the tests that need PostgreSQL report themselves as not run.
set -uo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/machine.sh
. scripts/machine.sh

found() {
  command -v initdb >/dev/null 2>&1 || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null ||
    compgen -G '/opt/homebrew/opt/postgresql*/bin/initdb' >/dev/null ||
    compgen -G '/usr/pgsql-*/bin/initdb' >/dev/null ||
    compgen -G '.venv/lib/python3*/site-packages/*pgserver/pginstall/bin/initdb' >/dev/null
}

found && exit 0
echo "PostgreSQL is not on this machine; fetching it for the tests…" >&2
apt_install postgresql && found && exit 0
.venv/bin/python -m pip --disable-pip-version-check --no-input -qq install --require-hashes -r requirements/postgres.txt &&
  found && exit 0
echo "WARNING: no PostgreSQL could be had; the tests that need it will be reported as NOT RUN." >&2
