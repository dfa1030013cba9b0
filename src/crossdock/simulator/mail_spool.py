"""The mail server of the company: takes mails out of its folder every minute and books what it sent to whom."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

from .clock import Timeline
from .ledger import Entry, Ledger


class MailSpool:
    """The folder as the mail server sees it."""

    def __init__(self, timeline: Timeline, root: Path) -> None:
        self.ledger = Ledger("mail")
        self.root = root
        self._timeline = timeline

    def open(self, first: datetime, until: datetime) -> None:
        """Begin to look into the folder."""
        for name in ("spool", "bounced"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self._timeline.every(first, timedelta(minutes=1), until, "mail:take", self.take)

    async def take(self) -> None:
        """Send every complete mail, in the order of their names."""
        for path in sorted((self.root / "spool").iterdir()):
            if not path.is_file() or path.name.startswith(".") or path.suffix != ".json":
                continue
            mail = json.loads(path.read_text(encoding="utf-8"))
            path.unlink()
            about = str(mail.get("order") or "")
            now = self._timeline.clock.now()
            self.ledger.book(Entry(now, "mail", str(mail["to"]), str(mail["id"]), about, detail=str(mail["subject"])))
