#!/usr/bin/env bash
# See to it that the nightly tests find Request Tracker 5: on the machine, else from apt (a minute or two).
#
# Only its programs are used: the tests give it a database and a port of their own. Never fails: where nothing works,
# the tests that need it report themselves as not run.
set -uo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/machine.sh
. scripts/machine.sh

found() { [ -x /usr/share/request-tracker5/libexec/rt-server ] && [ -x /usr/sbin/rt-setup-database-5 ]; }

found && exit 0
echo "Request Tracker is not on this machine; fetching it for the nightly tests…" >&2
apt_install rt5-db-sqlite && apt_install request-tracker5 && found && exit 0
echo "WARNING: no Request Tracker could be had; the tests that need it will be reported as NOT RUN." >&2
