#!/usr/bin/env bash
# See to it that a django-helpdesk can be started within seconds: its own environment and an empty, migrated database.
#
# Everything lies below var/peers/helpdesk (or $CROSSDOCK_PEERS/helpdesk). Never fails: where nothing works, the tests
# that need it report themselves as not run.
set -uo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/machine.sh
. scripts/machine.sh

home="${CROSSDOCK_PEERS:-$PWD/var/peers}/helpdesk"
venv="$home/venv"
mark="$(cat requirements/peers/helpdesk.txt scripts/peers/helpdesk/*.py "$0" | digest_of)"
[ -e "$home/ready-$mark" ] && exit 0

mkdir -p "$home"
echo "Preparing a django-helpdesk for the tests (once, some seconds)…" >&2
rm -rf "$home"/ready-* "$venv" "$home/desk.sqlite"
export PYTHONPATH="$PWD/scripts/peers/helpdesk" DJANGO_SETTINGS_MODULE=helpdesk_settings DESK_FOLDER="$home"
export DJANGO_SUPERUSER_PASSWORD=desk-password
if "$(peer_python)" -m venv "$venv" &&
  "$venv/bin/python" -m pip --disable-pip-version-check --no-input -qq install --require-hashes --no-compile \
    -r requirements/peers/helpdesk.txt 2>"$home/install.log" &&
  "$venv/bin/django-admin" migrate -v0 >"$home/fill.log" 2>&1 &&
  "$venv/bin/django-admin" createsuperuser --noinput --username crossdock --email desk@example.com >>"$home/fill.log" 2>&1 &&
  "$venv/bin/django-admin" shell -c \
    "from helpdesk.models import Queue; Queue.objects.create(title='Orders', slug='orders')" >>"$home/fill.log" 2>&1; then
  touch "$home/ready-$mark"
  exit 0
fi
tail -n 5 "$home/install.log" "$home/fill.log" 2>/dev/null >&2
echo "WARNING: no django-helpdesk could be had; the tests that need it will be reported as NOT RUN." >&2
