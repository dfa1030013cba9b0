#!/usr/bin/env bash
# See to it that a Tryton server can be started within seconds: its own environment and a filled SQLite database.
#
# Tryton is GPL: it is installed beside Crossdock, runs as a process of its own and is only spoken to over HTTP.
# Everything lies below var/peers/tryton (or $CROSSDOCK_PEERS/tryton); a second call costs milliseconds.
# Never fails: where nothing works, the tests that need it report themselves as not run.
set -uo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/machine.sh
. scripts/machine.sh

home="${CROSSDOCK_PEERS:-$PWD/var/peers}/tryton"
venv="$home/venv"
mark="$(cat requirements/peers/tryton.txt scripts/peers/tryton_seed.py "$0" | digest_of)"
[ -e "$home/ready-$mark" ] && exit 0

make_environment() {
  local wanted="$venv/.installed-$(digest_of < requirements/peers/tryton.txt)"
  [ -e "$wanted" ] && return 0
  rm -rf "$venv"
  "$(peer_python)" -m venv "$venv" &&
    "$venv/bin/python" -m pip --disable-pip-version-check --no-input -qq install --require-hashes --no-compile \
      -r requirements/peers/tryton.txt 2>"$home/install.log" &&
    touch "$wanted"
}

# SQLite keeps the newest pages in a second file: the database is filled under another name and put in place when it is
# whole, and tests copy it with SQLite's own backup.
fill_database() {
  local work
  work="$(mktemp -d "$home/fill-XXXXXX")" || return 1
  mkdir "$work/db" && : >"$work/db/erp.sqlite"
  printf '[database]\nuri = sqlite://\npath = %s\n' "$work/db" >"$work/trytond.conf"
  head -c 18 /dev/urandom | base64 >"$work/password"
  export TRYTOND_CONFIG="$work/trytond.conf" TRYTONPASSFILE="$work/password"
  "$venv/bin/trytond-admin" -c "$TRYTOND_CONFIG" -d erp -u sale --activate-dependencies --email erp@example.com \
      >"$home/fill.log" 2>&1 &&
    "$venv/bin/python" scripts/peers/tryton_seed.py erp >"$work/seed.json" 2>>"$home/fill.log" &&
    "$venv/bin/python" -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute("pragma wal_checkpoint(truncate)")' \
      "$work/db/erp.sqlite" &&
    mv "$work/db/erp.sqlite" "$home/erp.sqlite" && mv "$work/seed.json" "$home/seed.json"
  local outcome=$?
  rm -rf "$work"
  return $outcome
}

mkdir -p "$home"
echo "Preparing a Tryton server for the tests (once, about a minute)…" >&2
rm -f "$home"/ready-*
if make_environment && fill_database; then
  touch "$home/ready-$mark"
  exit 0
fi
tail -n 5 "$home/install.log" "$home/fill.log" 2>/dev/null >&2
echo "WARNING: no Tryton server could be had; the tests that need it will be reported as NOT RUN." >&2
