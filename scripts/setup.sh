#!/usr/bin/env bash
# Make .venv ready for `runtime` (what the product needs) or `dev` (tests and checks too).
#
# A marker named after the digest of the requirements makes the second call a matter of milliseconds.
# Everything installed is pinned by hash; the package itself is installed editable, without the network.
set -euo pipefail
cd "$(dirname "$0")/.."

wanted="${1:-runtime}"
venv=.venv

digest() { cat "$@" | (sha256sum 2>/dev/null || shasum -a 256) | cut -c1-16; }
dev_marker="$venv/.ready-dev-$(digest requirements/dev.txt pyproject.toml)"
runtime_marker="$venv/.ready-runtime-$(digest requirements/runtime.txt pyproject.toml)"

# What `dev` installs contains what `runtime` installs.
if [ -e "$dev_marker" ]; then exit 0; fi
if [ "$wanted" = runtime ] && [ -e "$runtime_marker" ]; then exit 0; fi

find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "Crossdock needs Python 3.11 or newer; none was found. Install it, or name it: make PYTHON=/path/to/python3 …" >&2
  exit 1
}

if [ ! -x "$venv/bin/python" ]; then
  python="$(find_python)"
  echo "Setting up $venv with $("$python" --version)…" >&2
  # Debian keeps ensurepip in a package of its own; without it a half-made environment is left behind.
  if ! "$python" -m venv "$venv" >/dev/null 2>&1; then
    rm -rf "$venv"
    . scripts/machine.sh
    if ! { apt_install python3-venv && "$python" -m venv "$venv"; }; then
      rm -rf "$venv"
      echo "Creating the virtual environment failed. On Debian or Ubuntu: apt-get install python3-venv" >&2
      exit 1
    fi
  fi
fi

pip=("$venv/bin/python" -m pip --disable-pip-version-check --no-input -qq)
case "$wanted" in
  runtime) requirements=requirements/runtime.txt marker="$runtime_marker" ;;
  dev) requirements=requirements/dev.txt marker="$dev_marker" ;;
  *) echo "usage: scripts/setup.sh [runtime|dev]" >&2; exit 2 ;;
esac
echo "Installing $requirements (pinned, with hashes)…" >&2
"${pip[@]}" install --require-hashes --no-compile -r "$requirements"
"${pip[@]}" install --no-deps --no-build-isolation --no-compile -e .
rm -f "$venv"/.ready-"$wanted"-*
touch "$marker"
