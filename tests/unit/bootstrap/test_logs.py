"""The log of the process."""

from __future__ import annotations

import errno
import io
import json
import sys
from collections.abc import Iterator

import pytest
import structlog

from crossdock.bootstrap import logs
from crossdock.config import LogSettings


@pytest.fixture(autouse=True)
def _fresh_structlog() -> Iterator[None]:
    """Give each test a structlog that nobody configured; put the old one back afterwards."""
    before = structlog.get_config() if structlog.is_configured() else None
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
    if before is not None:
        structlog.configure(**before)


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_traceback_never_shows_what_was_in_the_variables(capsys: pytest.CaptureFixture[str], style: str) -> None:
    """Payloads and secrets stand in local variables: the trace names the place, not the values."""
    logs.configure(LogSettings(format=style))  # type: ignore[arg-type]
    payload = "not-for-the-log"
    try:
        raise ValueError("broken" if payload else "")
    except ValueError as error:
        structlog.get_logger().error("message.poisoned", message_id="msg_1", exc_info=error)

    written = capsys.readouterr().err

    assert "broken" in written
    assert "message.poisoned" in written
    assert payload not in written


def test_json_lines_hold_an_event_and_keys(capsys: pytest.CaptureFixture[str]) -> None:
    """A log line is one JSON object with the event, its keys, the level and the time."""
    logs.configure(LogSettings(format="json"))
    structlog.get_logger().info("message.sent", message_id="msg_1", attempt=2)

    line = json.loads(capsys.readouterr().err)

    assert ("message.sent", "msg_1", 2, "info") == (line["event"], line["message_id"], line["attempt"], line["level"])
    assert line["timestamp"].endswith("Z")


class _FullDisk(io.StringIO):
    """A stream on a disk that is full."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_log_on_a_full_disk_does_not_stop_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written is dropped; whoever logged goes on."""
    monkeypatch.setattr("sys.stderr", _FullDisk())
    logs.configure(LogSettings(format="json"))
    with pytest.raises(OSError, match="No space"):
        print("a control: this stream does refuse", file=sys.stderr)

    structlog.get_logger().error("cycle.failed")
