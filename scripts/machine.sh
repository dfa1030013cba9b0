# Sourced by the ensure_* scripts: the one way to install a program on the machine.

# apt_install PACKAGE: install with apt, as root only; quiet, without questions, and without starting any service.
apt_install() {
  command -v apt-get >/dev/null 2>&1 || return 1
  [ "$(id -u)" = 0 ] || return 1
  export DEBIAN_FRONTEND=noninteractive
  local guard=/usr/sbin/policy-rc.d guarded=no
  # The tests start their own throwaway servers on free ports; the machine's must stay down.
  if [ ! -e "$guard" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$guard" && chmod 755 "$guard" && guarded=yes
  fi
  timeout 600 apt-get install -y -qq --no-install-recommends "$1" >/dev/null 2>&1 </dev/null ||
    { timeout 300 apt-get update -qq >/dev/null 2>&1 </dev/null &&
      timeout 600 apt-get install -y -qq --no-install-recommends "$1" >/dev/null 2>&1 </dev/null; }
  local outcome=$?
  [ "$guarded" = yes ] && rm -f "$guard"
  return "$outcome"
}

# digest_of: a short digest of what comes in.
digest_of() { (sha256sum 2>/dev/null || shasum -a 256) | cut -c1-16; }

# peer_python: the interpreter that the servers beside the tests get an environment from.
peer_python() {
  local candidate
  for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  return 1
}
