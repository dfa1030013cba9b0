"""Functions on text. A missing text (`None`) passes through; a number is written out in plain digits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from crossdock.mapping.faults import BUDGET, WRONG_TYPE, Fault
from crossdock.mapping.functions.registry import Group
from crossdock.mapping.values import EXPONENT_MAX, SHORT, TEXT_LENGTH_MAX, RunState, name_of, produced

TEXT = Group("Text")


def text_of(run: RunState, value: Any) -> str:
    """Return a value as text, charging for long ones."""
    kind = value.__class__
    if kind is str:
        length = len(value)
        if length > 64:
            if length > TEXT_LENGTH_MAX:
                raise Fault(BUDGET, f"a text may have {TEXT_LENGTH_MAX:,} characters, this one has {length:,}")
            run.spend(length >> 4)
        content: str = value
        return content
    if kind is int:
        if not -(10**400) < value < 10**400:
            raise Fault(BUDGET, "this number is too long")
        return str(value)
    if kind is Decimal:
        if not value.is_finite() or (value and not -EXPONENT_MAX < value.adjusted() < EXPONENT_MAX):
            raise Fault(BUDGET, "this number is too long")
        return format(value, "f")
    if kind is bool:
        return "true" if value else "false"
    if value is None:
        return ""
    raise Fault(WRONG_TYPE, f"text is needed, but this is {name_of(value)}", value)


def whole(value: Any, what: str) -> int:
    """Return a whole number argument."""
    if value.__class__ is int:
        return value
    if value.__class__ is Decimal and value.is_finite() and abs(value) < 10**12 and value == value.to_integral_value():
        return int(value)
    raise Fault(WRONG_TYPE, f"{what} must be a whole number, but is {name_of(value)}", value)


@TEXT.function("upper(text)", 'upper("Reno")', "RENO", returns="text")
def upper(run: RunState, value: Any) -> str | None:
    """Write in capital letters."""
    if value.__class__ is str and len(value) <= SHORT:
        return value.upper()
    return None if value is None else text_of(run, value).upper()


@TEXT.function("lower(text)", 'lower("Reno")', "reno", returns="text")
def lower(run: RunState, value: Any) -> str | None:
    """Write in small letters."""
    if value.__class__ is str and len(value) <= SHORT:
        return value.lower()
    return None if value is None else text_of(run, value).lower()


@TEXT.function("trim(text)", 'trim("  A  ")', "A", returns="text")
def trim(run: RunState, value: Any) -> str | None:
    """Take blanks, tabs and line ends off both ends."""
    return None if value is None else text_of(run, value).strip()


@TEXT.function("text(value)", "text(12.50)", "12.5", returns="text")
def text(run: RunState, value: Any) -> str | None:
    """Write a number or true/false as text."""
    return None if value is None else text_of(run, value)


@TEXT.function("length(text)", 'length("Reno")', "4", returns="integer")
def length(run: RunState, value: Any) -> int | None:
    """Count the characters."""
    return None if value is None else len(text_of(run, value))


@TEXT.function("substring(text, start, length=all)", 'substring("20260301", 4, 2)', "03", returns="text")
def substring(run: RunState, value: Any, start: Any, count: Any = TEXT_LENGTH_MAX) -> str | None:
    """Cut out a part; `start` counts from 0, a negative one from the end."""
    if value is None:
        return None
    content = text_of(run, value)
    begin, size = whole(start, "start"), whole(count, "length")
    if begin < 0:
        begin = max(len(content) + begin, 0)
    return content[begin : begin + max(size, 0)]


@TEXT.function("left(text, length)", 'left("Reno DC", 4)', "Reno", returns="text")
def left(run: RunState, value: Any, count: Any) -> str | None:
    """Keep the first characters."""
    return None if value is None else text_of(run, value)[: max(whole(count, "length"), 0)]


@TEXT.function("right(text, length)", 'right("000123", 3)', "123", returns="text")
def right(run: RunState, value: Any, count: Any) -> str | None:
    """Keep the last characters."""
    if value is None:
        return None
    content, size = text_of(run, value), max(whole(count, "length"), 0)
    return content[-size:] if size else ""


def _filled(run: RunState, value: Any, width: Any, fill: Any) -> tuple[str, int, str]:
    size = whole(width, "width")
    if size > TEXT_LENGTH_MAX:
        raise Fault(BUDGET, f"a text may have {TEXT_LENGTH_MAX:,} characters", size)
    if fill.__class__ is not str or len(fill) != 1:
        raise Fault(WRONG_TYPE, "the fill must be one character", fill)
    if size > 64:
        run.spend(size >> 4)
    return text_of(run, value), size, fill


@TEXT.function('pad(text, width, fill=" ")', 'pad("A", 3, ".")', "A..", returns="text")
def pad(run: RunState, value: Any, width: Any, fill: Any = " ") -> str | None:
    """Fill up on the right to a width; longer text stays as it is."""
    if value is None:
        return None
    content, size, character = _filled(run, value, width, fill)
    return content.ljust(size, character)


@TEXT.function('pad_left(text, width, fill=" ")', 'pad_left(7, 3, "0")', "007", returns="text")
def pad_left(run: RunState, value: Any, width: Any, fill: Any = " ") -> str | None:
    """Fill up on the left to a width; longer text stays as it is."""
    if value is None:
        return None
    content, size, character = _filled(run, value, width, fill)
    return content.rjust(size, character)


@TEXT.function("replace(text, old, new)", 'replace("A-B", "-", "")', "AB", returns="text")
def replace(run: RunState, value: Any, old: Any, new: Any) -> str | None:
    """Put a text in place of every occurrence of another."""
    if value is None:
        return None
    content, before, after = text_of(run, value), text_of(run, old), text_of(run, new)
    if not before:
        raise Fault(WRONG_TYPE, "the text to be replaced is empty")
    size = len(content) + content.count(before) * (len(after) - len(before))
    if size > TEXT_LENGTH_MAX:
        raise Fault(BUDGET, f"a text may have {TEXT_LENGTH_MAX:,} characters, this one would have {size:,}")
    return produced(run, content.replace(before, after))


@TEXT.function("split_part(text, separator, index)", 'split_part("a/b/c", "/", 1)', "b", returns="text")
def split_part(run: RunState, value: Any, separator: Any, index: Any) -> str | None:
    """Split and take one part; `index` counts from 0, -1 is the last; `None` if there is no such part."""
    if value is None:
        return None
    content, mark, position = text_of(run, value), text_of(run, separator), whole(index, "index")
    if not mark:
        raise Fault(WRONG_TYPE, "the separator is empty")
    parts = content.split(mark)
    return parts[position] if -len(parts) <= position < len(parts) else None


@TEXT.function("join(list, separator)", 'join(["a", "b"], ", ")', "a, b", returns="text")
def join(run: RunState, values: Any, separator: Any) -> str | None:
    """Join the elements of a list; missing and empty ones are left out."""
    if values is None:
        return None
    if values.__class__ is not list:
        raise Fault(WRONG_TYPE, f"a list is needed, but this is {name_of(values)}", values)
    run.spend(len(values))
    mark = text_of(run, separator)
    parts = [part for part in (text_of(run, value) for value in values) if part]
    if len(mark) * len(parts) > TEXT_LENGTH_MAX:
        raise Fault(BUDGET, f"a text may have {TEXT_LENGTH_MAX:,} characters")
    return produced(run, mark.join(parts))


@TEXT.function("concat(part, …)", 'concat("PO-", 7)', "PO-7", returns="text", never_none=True)
def concat(run: RunState, *parts: Any) -> str:
    """Join the parts; missing ones are left out."""
    text = "".join([part if part.__class__ is str else text_of(run, part) for part in parts])
    return text if len(text) <= SHORT else produced(run, text)


@TEXT.function("contains(text, part)", 'contains("Reno DC", "DC")', "True", returns="boolean", never_none=True)
def contains(run: RunState, value: Any, part: Any) -> bool:
    """Tell whether a text contains another."""
    return value is not None and text_of(run, part) in text_of(run, value)


@TEXT.function("starts_with(text, part)", 'starts_with("PO-7", "PO")', "True", returns="boolean", never_none=True)
def starts_with(run: RunState, value: Any, part: Any) -> bool:
    """Tell whether a text begins with another."""
    return value is not None and text_of(run, value).startswith(text_of(run, part))


@TEXT.function("ends_with(text, part)", 'ends_with("a.edi", ".edi")', "True", returns="boolean", never_none=True)
def ends_with(run: RunState, value: Any, part: Any) -> bool:
    """Tell whether a text ends with another."""
    return value is not None and text_of(run, value).endswith(text_of(run, part))


@TEXT.function(
    "matches_glob(text, pattern)", 'matches_glob("945_1.edi", "945_*.edi")', "True", returns="boolean", never_none=True
)
def matches_glob(run: RunState, value: Any, pattern: Any) -> bool:
    """Tell whether the whole text fits a pattern: `*` is any run of characters, `?` is one."""
    if value is None:
        return False
    content, wanted = text_of(run, value), text_of(run, pattern)
    run.spend(len(content))
    at = star_at = 0
    star = -1
    index = 0
    # Greedy with one step back: at worst length × pattern, which is charged; a regex engine could be made to explode.
    while index < len(content):
        if at < len(wanted) and wanted[at] == "*":
            star, star_at, at = at, index, at + 1
        elif at < len(wanted) and wanted[at] in ("?", content[index]):
            index, at = index + 1, at + 1
        elif star >= 0:
            run.spend((at - star) >> 2)
            star_at += 1
            index, at = star_at, star + 1
        else:
            return False
    return wanted[at:].strip("*") == ""


@TEXT.function("default(value, otherwise)", 'default(None, "EA")', "EA")
def default(run: RunState, value: Any, otherwise: Any) -> Any:
    """Return the value; if it is missing or an empty text, the other one."""
    return otherwise if value is None or value == "" else value


@TEXT.function("coalesce(value, …)", 'coalesce(None, "", "B")', "B")
def coalesce(run: RunState, *values: Any) -> Any:
    """Return the first value that is neither missing nor an empty text."""
    for value in values:
        if value is not None and value != "":
            return value
    return None
