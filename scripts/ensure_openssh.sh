#!/usr/bin/env bash
# See to it that the tests find an OpenSSH server: on the machine, else from apt.
#
# Never fails: where nothing works, the tests that need it report themselves as not run.
set -uo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/machine.sh
. scripts/machine.sh

found() { PATH="$PATH:/usr/sbin:/usr/local/sbin:/sbin" command -v sshd >/dev/null 2>&1; }

found && exit 0
echo "OpenSSH is not on this machine; fetching it for the tests…" >&2
apt_install openssh-server && found && exit 0
echo "WARNING: no OpenSSH server could be had; the tests that need it will be reported as NOT RUN." >&2
