"""Issues, dead letters and replays from another terminal: the whole way of each, against a hub that runs."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.program import run
from tests.web.world import TENANT, World, order

BROKEN = b'{"documentType": "SalesOrderRelease", "order": {"n": '
HERE = ("--tenant", TENANT)
Screen = pytest.CaptureFixture[str]


async def _dead(world: World, number: str) -> tuple[str, str]:
    """Hand in an order that was cut off; return its dead letter and its issue."""
    message_id = await world.take("erp", BROKEN + number.encode())
    dead = str(world.one("select document_id from documents where message_id = ?", message_id))
    return dead, str(world.one("select issue_id from exceptions where object_id = ?", dead))


async def _said(capsys: Screen, *words: str) -> Any:
    code, out, err = await run(capsys, *words, *HERE, "--json")
    assert 0 == code, out + err
    return json.loads(out)


async def test_an_issue_is_shown_given_and_given_back(world: World, capsys: Screen) -> None:
    """From the list in a pipe, by the id that stands there whole, to its owner and back to its queue."""
    dead, issue = await _dead(world, "SO-9001")
    code, out, err = await run(capsys, "issues", "list", "--class", "partner", *HERE)
    assert (0, True) == (code, "partner" in err)
    (listed,) = [line for line in out.splitlines() if issue in line.split()]
    assert "XD-DOC-002" in listed

    code, out, err = await run(capsys, "issues", "show", issue, *HERE)
    assert (0, True, True) == (code, "Fix 1" in out, dead in out.split())
    assert f"crossdock dead list --issue {issue}" in err

    code, _, err = await run(capsys, "issues", "assign", issue, "anna", *HERE)
    assert (0, f"{issue} is anna's") == (code, err.strip())
    mine = await _said(capsys, "issues", "list", "--owner", "anna")
    assert [(issue, "anna", "acknowledged")] == [(row["issue_id"], row["owner"], row["state"]) for row in mine["items"]]
    assert issue not in [row["issue_id"] for row in (await _said(capsys, "issues", "list", "--unassigned"))["items"]]

    code, _, err = await run(capsys, "issues", "unassign", issue, *HERE)
    assert (0, f"{issue} is nobody's") == (code, err.strip())
    assert issue in [row["issue_id"] for row in (await _said(capsys, "issues", "list", "--unassigned"))["items"]]


async def test_a_dead_letter_is_amended(world: World, capsys: Screen, tmp_path: Path) -> None:
    """Listed, looked at, amended dry and then truly: the order is there afterwards."""
    dead, issue = await _dead(world, "SO-9002")
    code, out, _ = await run(capsys, "dead", "list", "--kind", "document", "--issue", issue, *HERE)
    assert (0, True) == (code, dead in out.split())
    code, out, _ = await run(capsys, "dead", "show", dead, *HERE)
    assert (0, True, True) == (code, BROKEN.decode() in out, issue in out)

    whole = tmp_path / "whole.json"
    whole.write_bytes(order("SO-9002"))
    amend = ("dead", "amend", dead, "--file", str(whole), "--reason", "cut off", *HERE)
    code, out, _ = await run(capsys, *amend, "--dry-run")
    assert (0, True) == (code, f"{dead}  would" in out)
    assert "rejected" == (await _said(capsys, "dead", "show", dead))["state"]
    code, out, err = await run(capsys, *amend)
    assert (0, True, "1 of 1") == (code, f"{dead} -> " in out, err.strip())
    assert "superseded" == (await _said(capsys, "dead", "show", dead))["state"]
    code, out, _ = await run(capsys, "dead", "show", dead, *HERE)
    assert (0, True) == (code, "by " in out and "cut off" in out)
    assert 0 == (await run(capsys, "trace", "SO-9002", *HERE))[0]


async def test_a_dead_letter_is_requeued_and_discarded(world: World, capsys: Screen) -> None:
    """What is still broken stays a dead letter after another try; discarded by a filter it is one no more."""
    dead, issue = await _dead(world, "SO-9003")
    code, out, _ = await run(capsys, "dead", "requeue", dead, "--dry-run", *HERE)
    assert (0, True) == (code, f"{dead}  would" in out)
    code, out, err = await run(capsys, "dead", "requeue", dead, "--reason", "again", *HERE)
    assert 0 == code, out + err
    await world.settle()
    assert "rejected" == (await _said(capsys, "dead", "show", dead))["state"]

    assert 2 == (await run(capsys, "dead", "discard", *HERE))[0]
    code, out, err = await run(capsys, "dead", "discard", dead, *HERE)
    assert (1, True) == (code, err.startswith("XD-API-011")), out + err
    code, out, err = await run(capsys, "dead", "discard", "--all", "--issue", issue, "--reason", "a test", *HERE)
    assert (0, True) == (code, f"{dead}  done" in out), out + err
    assert [] == (await _said(capsys, "dead", "list", "--issue", issue))["items"]
    assert "discarded" == (await _said(capsys, "dead", "show", dead))["state"]


async def test_a_replay_is_planned_followed_held_and_resumed(world: World, capsys: Screen) -> None:
    """The digest of the plan starts it; followed it tells its end; held it waits, resumed it ends."""
    await world.take("erp", order("SO-9004"))
    wanted = ("--connection", "erp", "--state", "processed", *HERE)
    code, out, err = await run(capsys, "replays", "plan", *wanted)
    assert 0 == code, out + err
    assert "2 messages" in out
    digest = out.partition("digest ")[2].strip()
    assert 5 == (await run(capsys, "replays", "start", "--digest", "0" * 64, *wanted))[0]

    following = asyncio.create_task(run(capsys, "replays", "start", "--digest", digest, "--follow", *wanted))
    await _pass_time(world, following)
    code, out, err = await following
    job_id, last = out.splitlines()
    assert (0, True) == (code, last.startswith(f"{job_id}  done  2 of 2, 0 failed")), out + err

    code, out, _ = await run(capsys, "replays", "plan", *wanted)
    digest = out.partition("digest ")[2].strip()
    code, out, err = await run(capsys, "replays", "start", "--digest", digest, "--per-second", "0.1", *wanted)
    assert 0 == code, out + err
    held = out.strip()
    for verb, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        code, out, err = await run(capsys, "replays", verb, held, *HERE)
        assert (0, True) == (code, out.startswith(f"{held}  {state}  ")), out + err
    assert 5 == (await run(capsys, "replays", "resume", held, *HERE))[0]
    code, out, _ = await run(capsys, "replays", "list", *HERE)
    assert (0, True) == (code, {job_id, held} <= set(out.split()))
    code, out, _ = await run(capsys, "replays", "show", held, *HERE)
    assert (0, True) == (code, out.startswith(f"{held}  cancelled"))


async def _pass_time(world: World, following: asyncio.Task[Any]) -> None:
    """Move the hub's clock on until the command ends."""
    async with asyncio.timeout(20):
        while not following.done():
            world.clock.move_to(world.clock.now() + timedelta(seconds=1))
            await world.hub.advance()
            await asyncio.sleep(0.02)


async def test_an_ended_outage_says_so(world: World, capsys: Screen) -> None:
    """While it lasts it names what it does, afterwards that it has ended."""
    code, out, _ = await run(capsys, "outage", "start", "harbor", "--action", "hold", *HERE)
    assert (0, True) == (code, "declared, hold  since" in out)
    code, out, _ = await run(capsys, "outage", "end", "harbor", *HERE)
    assert (0, True, False) == (code, "declared, ended" in out, "hold" in out)


@pytest.mark.parametrize(
    "words",
    [
        ("issues", "list", "--class", "bogus"),
        ("dead", "list", "--kind", "foo"),
        ("replays", "plan", "--under", "yesterday"),
        ("replays", "plan", "--state", "fine"),
        ("outage", "start", "harbor", "--action", "wait"),
        ("replay", "msg_1", "--under", "candidate"),
    ],
)
async def test_a_misspelled_choice_is_a_fault_of_usage(words: tuple[str, ...], capsys: Screen) -> None:
    """It ends with 2 and names the choices, without asking a hub."""
    code, _, err = await run(capsys, *words)

    assert (2, True) == (code, f"'{words[-1]}' is not one of" in err), err


async def test_a_refusal_names_its_place(world: World, capsys: Screen) -> None:
    """What the hub finds wrong with a request is told with the place in the request."""
    code, _, err = await run(capsys, "replays", "start", "--digest", "x" * 200, "--connection", "erp", *HERE)

    assert (1, True) == (code, "Where  " in err and "digest" in err), err


async def test_a_hub_that_is_down_is_no_partner(
    tmp_path: Path, capsys: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where none runs, and where the named one does not answer, the way to start one is told."""
    monkeypatch.chdir(tmp_path)
    for words in (
        ("issues", "list"),
        ("outage", "list"),
        ("dead", "list", "--url", "http://127.0.0.1:9", "--key", "xd_northgate_x"),
    ):
        code, _, err = await run(capsys, *words)
        assert (1, True) == (code, err.startswith("XD-SYS-070  The hub does not answer")), err
        assert "crossdock up" in err
        assert "partner" not in err.lower()
