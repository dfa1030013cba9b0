"""The built CSS, JavaScript and icons: read once, kept in memory with a gzip twin, served for ever under a versioned
address.

A raw ASGI callable: nothing outside the list of files can be asked for, because there is no path to join.
"""

from __future__ import annotations

import gzip
from importlib import resources
from typing import Any

import msgspec

PATH_PREFIX = "/static/"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}


class _File(msgspec.Struct, frozen=True):
    content_type: bytes
    plain: bytes
    zipped: bytes


def load_files() -> dict[str, _File]:
    """Return every served file by its name."""
    files: dict[str, _File] = {}
    for entry in resources.files("crossdock.web").joinpath("static").iterdir():
        kind = _TYPES.get(entry.name[entry.name.rfind(".") :])
        if kind is not None and entry.is_file():
            content = entry.read_bytes()
            files[entry.name] = _File(kind.encode(), content, gzip.compress(content, 9, mtime=0))
    return files


class StaticFiles:
    """`GET /static/{version}/{name}`."""

    def __init__(self) -> None:
        self._files = load_files()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        file = self._files.get(scope["path"].rpartition("/")[2])
        if file is None or scope["method"] not in ("GET", "HEAD"):
            await send({"type": "http.response.start", "status": 404, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"Not found"})
            return
        zipped = any(name == b"accept-encoding" and b"gzip" in value for name, value in scope["headers"])
        headers = [
            (b"content-type", file.content_type),
            (b"cache-control", b"public, max-age=31536000, immutable"),
            (b"vary", b"accept-encoding"),
        ]
        body = file.zipped if zipped else file.plain
        if zipped:
            headers.append((b"content-encoding", b"gzip"))
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
