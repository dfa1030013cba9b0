#!/usr/bin/env bash
# See to it that the benchmark's peers find a Redis: on the machine, else from apt.
#
# Never fails: where none can be had, the peers that need Redis report themselves as not measured.
set -uo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/machine.sh
. scripts/machine.sh

command -v redis-server >/dev/null 2>&1 && exit 0
echo "Redis is not on this machine; fetching it for the benchmark's peers…" >&2
apt_install redis-server && command -v redis-server >/dev/null 2>&1 && exit 0
echo "WARNING: no Redis could be had; SAQ, Dramatiq and Celery will be reported as NOT MEASURED." >&2
