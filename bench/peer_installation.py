"""What the peers need, installed below var/bench: a virtual environment of their own, and on request n8n and Node-RED.

`python -m bench.peer_installation [--node]`. The benchmark makes the virtual environment by itself; the Node programs
take minutes to install, so it only uses them where they are. None of it is ever a dependency of the product.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "var" / "bench"
PEERS = Path(__file__).parent / "peers"
REQUIREMENTS = PEERS / "requirements.txt"
N8N_VERSION, NODE_RED_VERSION = "2.8.4", "4.1.15"
# The version of xlsx that n8n asks for is not in the registry.
_PACKAGES = {
    "n8n": (f"n8n@{N8N_VERSION}", {"overrides": {"xlsx": "0.18.5"}}),
    "node-red": (f"node-red@{NODE_RED_VERSION}", {}),
}
_PROGRAMS = {"n8n": "node_modules/n8n/bin/n8n", "node-red": "node_modules/node-red/red.js"}


def environment() -> Path:
    """Return the folder of the peers' programs; the environment is made, or renewed, when its pins have changed.

    Raises RuntimeError with pip's last words when it cannot be made.
    """
    venv = PLACE / "peers-venv"
    marker = venv / f".ready-{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]}"
    if not marker.exists():
        print("making the peers' environment below var/bench …", file=sys.stderr, flush=True)
        PLACE.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        pip = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "-q"]
        done = subprocess.run([*pip, "install", "-r", str(REQUIREMENTS)], check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"the peers' environment could not be made: {done.stderr.strip()[-400:]}")
        marker.touch()
    return venv / "bin"


def redis_server() -> str | None:
    """Return the program of Redis, fetched for the machine where that is possible; None where there is none."""
    if shutil.which("redis-server") is None:
        subprocess.run([str(ROOT / "scripts" / "ensure_redis.sh")], check=False)
    return shutil.which("redis-server")


def node_program(name: str) -> Path | None:
    """Return the file `node` runs for `n8n` or `node-red`; None where node or the program is not installed."""
    program = PLACE / name / _PROGRAMS[name]
    return program if shutil.which("node") is not None and program.exists() else None


def install_node_program(name: str) -> None:
    """Install n8n or Node-RED below var/bench; takes minutes."""
    package, extra = _PACKAGES[name]
    folder = PLACE / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text(json.dumps({"name": f"peer-{name}", "private": True, **extra}))
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", package], cwd=folder, check=True)


def main() -> int:
    """Install what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.peer_installation", description=__doc__)
    parser.add_argument("--node", action="store_true", help="also n8n and Node-RED, by npm")
    asked = parser.parse_args()
    print(f"peers' environment: {environment()}")
    print(f"redis: {redis_server() or 'none'}")
    for name in _PACKAGES:
        if asked.node and node_program(name) is None:
            install_node_program(name)
        print(f"{name}: {node_program(name) or 'not installed'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
