"""Commands beside a running hub: they find it, ask it, and say which tenant answered."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from crossdock.cli.running_hub import FILE
from tests.unit.cli.program import run
from tests.web.world import TENANT, World, order


async def test_find_and_trace_ask_the_hub_that_runs_here(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Without any option an order is found; the line printed next runs as it stands; the file is nobody else's."""
    code, out, err = await run(capsys, "find", "SO-7001")
    following = next(line for line in err.splitlines() if line.startswith("Next: ")).removeprefix("Next: crossdock ")

    assert (0, True) == (code, TENANT in out)
    assert "trace SO-7001 --tenant northgate" == following
    assert 0o600 == stat.S_IMODE(FILE.stat().st_mode)

    code, out, _ = await run(capsys, *following.split())
    assert (0, True) == (code, "Order SO-7001" in out)

    code, out, err = await run(capsys, "trace", "SO-7001", "--json")
    assert (0, "SO-7001") == (code, json.loads(out)["number"])
    assert "Found in northgate" in err


async def test_what_nobody_has_is_not_found(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown name ends with 3, an unknown tenant too, and an address without a key is a fault of usage."""
    assert 3 == (await run(capsys, "find", "ZZZZ-404"))[0]
    assert 3 == (await run(capsys, "trace", "ZZZZ-404"))[0]
    assert 3 == (await run(capsys, "find", "SO-7001", "--tenant", "nobody"))[0]
    assert 2 == (await run(capsys, "find", "SO-7001", "--url", "http://127.0.0.1:9"))[0]


async def test_keys_are_made_listed_and_revoked(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A new key opens the API until it is revoked; the list shows no token."""
    code, out, _ = await run(
        capsys, "key", "new", "--tenant", TENANT, "--role", "partner", "--connection", "erp", "--label", "the ERP"
    )
    token = out.strip()
    assert (0, True) == (code, token.startswith("xd_northgate_"))

    _, out, _ = await run(capsys, "key", "list", "--tenant", TENANT, "--json")
    (key,) = [one for one in json.loads(out) if one["label"] == "the ERP"]
    assert token not in out
    assert ("partner", "erp", None) == (key["role"], key["connection_id"], key["revoked_at"])

    assert 0 == (await run(capsys, "key", "revoke", key["key_id"], "--tenant", TENANT))[0]
    _, out, _ = await run(capsys, "key", "list", "--tenant", TENANT, "--json")
    assert [True] == [bool(one["revoked_at"]) for one in json.loads(out) if one["key_id"] == key["key_id"]]
    assert 2 == (await run(capsys, "key", "new", "--tenant", TENANT, "--role", "partner"))[0]


async def test_a_secret_is_used_from_the_moment_it_is_stored(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A running hub takes a new secret up, and forgets a removed one; no value is ever shown."""

    class Typed:
        @staticmethod
        def isatty() -> bool:
            return False

        @staticmethod
        def read() -> str:
            return "brand-new\n"

    monkeypatch.setattr("sys.stdin", Typed)
    assert 0 == (await run(capsys, "secret", "put", "shop-signing", "--tenant", TENANT))[0]
    assert ("brand-new",) == world.hub.inbound_secrets(TENANT, ["secret:shop-signing"])

    _, out, _ = await run(capsys, "secret", "list", "--tenant", TENANT, "--json")
    assert [2] == [one["version"] for one in json.loads(out) if one["name"] == "shop-signing"]
    assert "brand-new" not in out

    assert 0 == (await run(capsys, "secret", "remove", "shop-signing", "--tenant", TENANT))[0]
    assert () == world.hub.inbound_secrets(TENANT, ["secret:shop-signing"])
    assert 3 == (await run(capsys, "secret", "remove", "shop-signing", "--tenant", TENANT))[0]


async def test_without_a_hub_the_record_itself_is_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys and secrets are kept in the record where no hub runs, and a record is not made by looking."""
    monkeypatch.chdir(tmp_path)
    assert 3 == (await run(capsys, "key", "list", "--tenant", TENANT))[0]

    world: Any = await World.start(tmp_path)
    await world.take("erp", order("SO-7002"))
    await world.hub.stop()
    monkeypatch.setenv("CROSSDOCK_STORE_URL", world.hub.settings.store.url)
    monkeypatch.setenv("CROSSDOCK_SECURITY_ROOT_KEY_FILE", world.hub.settings.security.root_key_file)

    code, out, _ = await run(capsys, "key", "new", "--tenant", TENANT, "--role", "auditor")
    assert (0, True) == (code, out.startswith("xd_northgate_"))
    assert 0 == (await run(capsys, "secret", "list", "--tenant", TENANT))[0]
    code, out, err = await run(capsys, "find", "SO-7002")
    assert (0, True) == (code, "Next: crossdock trace SO-7002 --tenant northgate" in err)
