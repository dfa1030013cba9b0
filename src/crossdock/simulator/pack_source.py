"""Find the packs that come with the product, and put the simulator's own addresses into them.

Packs lie in `packs/` of the repository; `crossdock/_packs` points there in a checkout and holds a copy when installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..errors import ConfigurationError, NotFound

_ROOT = Path(__file__).resolve().parent.parent / "_packs"


def pack_names() -> tuple[str, ...]:
    """Return the names of the packs that come with the product."""
    return tuple(sorted(path.name for path in _ROOT.iterdir() if (path / "pack.yaml").is_file()))


def pack_files(name: str) -> dict[str, str]:
    """Return the files of a pack by their path inside of it."""
    folder = _ROOT / name
    if not (folder / "pack.yaml").is_file():
        raise NotFound(f"There is no pack {name}", hint=f"Packs that come with the product: {', '.join(pack_names())}")
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in sorted(folder.rglob("*.yaml"))}


def with_addresses(files: Mapping[str, str], addresses: Mapping[str, str]) -> dict[str, str]:
    """Return the files with the example addresses of connections replaced by real ones.

    Every example address must stand in some connection; one that does not is a mistake in the pack or in the caller.
    """
    left = set(addresses)
    result = dict(files)
    for path, text in files.items():
        if not path.startswith("connections/"):
            continue
        for example, real in addresses.items():
            if example in text:
                left.discard(example)
                text = text.replace(example, real)
        result[path] = text
    if left:
        raise ConfigurationError(f"The pack has no connection to {', '.join(sorted(left))}")
    return result
