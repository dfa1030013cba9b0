#!/usr/bin/env bash
# See to it that the browser tests find Chromium: on the machine, else from apt, else Playwright's own.
#
# Never fails: where nothing works, the tests that need it report themselves as not run.
set -uo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/machine.sh
. scripts/machine.sh

found() {
  command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 ||
    command -v google-chrome >/dev/null 2>&1 ||
    compgen -G "${PLAYWRIGHT_BROWSERS_PATH:-${HOME:-/root}/.cache/ms-playwright}/chromium*/" >/dev/null
}

found && exit 0
echo "Chromium is not on this machine; fetching it for the browser tests…" >&2
apt_install chromium && found && exit 0
timeout 300 .venv/bin/python -m playwright install chromium >/dev/null && found && exit 0
echo "WARNING: no Chromium could be had; the browser tests will be reported as NOT RUN." >&2
