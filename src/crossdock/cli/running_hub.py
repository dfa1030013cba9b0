"""The hub that runs in this checkout, as commands in another terminal find it, and how they speak to it.

A running hub leaves `var/run/hub.json` (mode 0600): its address and a key of each tenant. At its end the file goes and
the keys are revoked. `CROSSDOCK_URL` and `CROSSDOCK_KEY` (`--url`, `--key`) win. Nothing here opens a record.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import typer

from ..config import load_settings
from ..errors import AccessDenied, Conflict, CrossdockError, Finding, NotFound, TransientError
from ..governance import access

if TYPE_CHECKING:
    from ..bootstrap import Hub

T = TypeVar("T")

FILE = Path("var/run/hub.json")
LABEL = "commands on the hub's machine"
ANSWER_SECONDS_MAX = 120

TenantOption = Annotated[str, typer.Option("--tenant", help="The tenant; otherwise all of them are asked.")]
UrlOption = Annotated[str, typer.Option("--url", help="The running hub.", envvar="CROSSDOCK_URL")]
KeyOption = Annotated[str, typer.Option("--key", help="An API key of the tenant.", envvar="CROSSDOCK_KEY")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class RunningHub(msgspec.Struct, frozen=True):
    """What a running hub says of itself."""

    pid: int
    url: str
    store_url: str
    root_key_file: str
    keys: dict[str, str]


class Door(msgspec.Struct, frozen=True):
    """One tenant of a running hub, and the key that opens it."""

    url: str
    tenant_id: str
    key: str


class HubUnreachable(TransientError):
    """The hub does not answer."""

    code = "XD-SYS-070"


def no_hub() -> HubUnreachable:
    """Return the refusal of a command that needs a running hub where none runs."""
    return HubUnreachable("No hub runs here")


class Announcement:
    """The file of one running hub. `refresh` writes it, `withdraw` removes it and revokes the keys."""

    def __init__(self, hub: Hub, file: Path = FILE) -> None:
        self._hub = hub
        self._file = file
        self._keys: dict[str, str] = {}

    async def refresh(self) -> None:
        """Write the file, when there is a tenant it does not know yet."""
        fresh = [tenant for tenant in self._hub.tenancy.active() if tenant not in self._keys]
        if not fresh and self._keys:
            return
        for tenant_id in fresh:
            self._keys[tenant_id] = await self._hub.create_key(tenant_id, "operator", label=LABEL)
        self._write()

    def _write(self) -> None:
        settings = self._hub.settings
        path = settings.store.sqlite_path
        store_url = settings.store.url if path is None else f"sqlite:///{path.absolute()}"
        root_key_file = str(Path(settings.security.root_key_file).absolute())
        said = RunningHub(os.getpid(), self._hub.url, store_url, root_key_file, self._keys)
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self._file.with_suffix(f".{os.getpid()}")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as output:
            output.write(msgspec.json.encode(said))
        draft.replace(self._file)

    async def withdraw(self) -> None:
        """Remove the file, if it is still ours, and make its keys invalid."""
        said = _read(self._file)
        if said is not None and said.pid == os.getpid():
            self._file.unlink(missing_ok=True)
        now = self._hub.clock.now()

        def revoke(connection: Any) -> None:
            for tenant_id in self._keys:
                for key in access.keys(connection, tenant_id):
                    if key.label == LABEL and key.revoked_at is None:
                        access.revoke_key(connection, tenant_id, key.key_id, at=now)

        await self._hub.store.write(revoke)


def running() -> RunningHub | None:
    """Return the hub that runs in this checkout; None without one, and where the settings name another record."""
    said = _read(FILE)
    if said is None:
        return None
    try:
        os.kill(said.pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    settings = load_settings()
    path = settings.store.sqlite_path
    meant = settings.store.url if path is None else f"sqlite:///{path.absolute()}"
    return None if settings.origin("store.url") != "default" and meant != said.store_url else said


def doors(url: str, key: str, tenant: str) -> list[Door]:
    """Return the doors to knock at: the one named by `url` and `key`, else each tenant of the hub that runs here.

    Empty where none runs. A tenant the hub does not have is `NotFound`.
    """
    if url and not url.startswith(("http://", "https://")):
        raise typer.BadParameter(f"--url {url} is no address such as http://127.0.0.1:8600")
    here = running()
    if key:
        address = url or (here.url if here is not None else load_settings().public_url)
        owner = access.token_tenant(key)
        if tenant and owner and owner != tenant:
            raise typer.BadParameter(f"the key is one of {owner}, not of {tenant}")
        return [Door(address.rstrip("/"), owner or tenant, key)]
    if url and (here is None or here.url != url.rstrip("/")):
        raise typer.BadParameter(f"--url {url} needs --key, an API key of the tenant there")
    if here is None:
        return []
    if tenant and tenant not in here.keys:
        raise NotFound(f"There is no tenant {tenant}", hint=f"Tenants: {', '.join(sorted(here.keys))}")
    return [Door(here.url, name, known) for name, known in here.keys.items() if tenant in ("", name)]


def one_door(url: str, key: str, tenant: str) -> Door | None:
    """Return the door of one tenant; None where no hub runs and the record is to be opened."""
    found = doors(url, key, tenant)
    return found[0] if found else None


def ask(door: Door, path: str, *, method: str = "GET", body: Any = None, **query: Any) -> bytes:
    """Return the bytes of the hub's answer. A problem is raised as the error it stands for."""
    address = f"{door.url}/v1{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
    request = urllib.request.Request(  # noqa: S310 - the operator's own hub
        address,
        data=None if body is None else json.dumps(body).encode(),
        headers={"authorization": f"Bearer {door.key}", "content-type": "application/json"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS_MAX) as answer:  # noqa: S310
            content: bytes = answer.read()
            return content
    except urllib.error.HTTPError as error:
        raise _refusal(error) from error
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise HubUnreachable(f"The hub at {door.url} does not answer: {reason}") from error


def one_of(found: dict[str, T], name: str, command: str) -> tuple[str, T]:
    """Return the only tenant that knows `name` with what it knows; several are a fault of usage that names them."""
    if len(found) > 1:
        raise typer.BadParameter(
            f"{len(found)} tenants know {name}. Say which one: "
            + ", or ".join(f"crossdock {command} {name} --tenant {tenant_id}" for tenant_id in found)
        )
    return next(iter(found.items()))


def each(known: list[str], look: Callable[[str], T]) -> dict[str, T]:
    """Return what each tenant finds; tenants that find nothing are left out. `NotFound` where none does."""
    found: dict[str, T] = {}
    missed: NotFound | None = None
    for tenant_id in known:
        try:
            found[tenant_id] = look(tenant_id)
        except NotFound as error:
            missed = error
    if not found:
        raise missed or NotFound("There is no tenant yet", hint="Apply a pack first: crossdock apply packs/northgate")
    return found


def _read(file: Path) -> RunningHub | None:
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode(file.read_bytes(), type=RunningHub)
    return None


def _refusal(error: urllib.error.HTTPError) -> CrossdockError:
    try:
        problem = json.loads(error.read())
    except ValueError:
        problem = {}
    text = problem.get("detail") or problem.get("title") or f"the hub answered {error.code}"
    kinds: dict[int, type[CrossdockError]] = {401: AccessDenied, 403: AccessDenied, 404: NotFound, 409: Conflict}
    return kinds.get(error.code, CrossdockError)(
        text,
        code=problem.get("code"),
        hint=tuple(problem.get("hint", ())),
        pointer=problem.get("pointer", ""),
        findings=msgspec.convert(problem.get("findings", ()), tuple[Finding, ...]),
    )
