#!/usr/bin/env bash
# See to it that the nightly tests can start a Vendure shop: its packages, and a filled SQLite database.
#
# Vendure is GPL: it is installed beside Crossdock, runs as a process of its own and is only spoken to over HTTP.
# Everything lies below var/peers/vendure (or $CROSSDOCK_PEERS/vendure); the first call takes minutes (a native build),
# a second one milliseconds. Never fails: where nothing works, the tests that need it report themselves as not run.
set -uo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/machine.sh
. scripts/machine.sh

home="${CROSSDOCK_PEERS:-$PWD/var/peers}/vendure"
mark="$(cat scripts/peers/vendure/* "$0" | digest_of)"
[ -e "$home/ready-$mark" ] && exit 0

mkdir -p "$home"
echo "Preparing a Vendure shop for the nightly tests (once, some minutes)…" >&2
rm -rf "$home"/ready-* "$home/filled"
packages="$home/.installed-$(digest_of < scripts/peers/vendure/package.json)"
cp scripts/peers/vendure/* "$home/"
if command -v npm >/dev/null 2>&1 &&
  { [ -e "$packages" ] ||
    { rm -rf "$home/node_modules" "$home"/.installed-* && (cd "$home" &&
      npm install --no-audit --no-fund --no-package-lock --loglevel=error >install.log 2>&1) && touch "$packages"; }; } &&
  mkdir "$home/filled" && (cd "$home" && timeout 300 node server.js 0 filled populate >fill.log 2>&1); then
  touch "$home/ready-$mark"
  exit 0
fi
tail -n 5 "$home/install.log" "$home/fill.log" 2>/dev/null >&2
echo "WARNING: no Vendure could be had; the tests that need it will be reported as NOT RUN." >&2
