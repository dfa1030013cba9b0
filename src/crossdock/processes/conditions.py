"""What the draft of every process does alike: report faults, those that last once, and take them back."""

from __future__ import annotations

from .order_state import Raised
from .outcome import ProcessException


class Conditions:
    """The faults of a draft: `raised` last, by (code, cause); `exceptions` are what this decision reports."""

    raised: dict[tuple[str, str], Raised]
    exceptions: list[ProcessException]

    def fault(self, code: str, cause: str, message: str, pointer: str = "") -> None:
        """Report a fault of this one event, such as a surplus."""
        self.exceptions.append(ProcessException(code, cause, message, pointer))

    def raise_condition(self, code: str, cause: str, message: str, pointer: str = "") -> None:
        """Report a fault that lasts until `take_back`; while it lasts it is reported once."""
        if (code, cause) not in self.raised:
            self.raised[code, cause] = Raised(code, cause)
            self.exceptions.append(ProcessException(code, cause, message, pointer))

    def take_back(self, code: str, cause: str) -> None:
        """Say that the reason of a lasting fault is gone."""
        if self.raised.pop((code, cause), None) is not None:
            self.exceptions.append(ProcessException(code, cause, "settled by itself", resolves=True))
