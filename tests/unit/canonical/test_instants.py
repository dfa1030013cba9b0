"""Instants of canonical objects: aware, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, get_args, get_origin

import msgspec
import pytest

from crossdock.canonical.catalog import OBJECTS
from crossdock.canonical.instants import lacks_offset


def _instants(shape: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield every field of a shape that holds a time of day, however deep it lies."""
    if isinstance(shape, type) and issubclass(shape, msgspec.Struct):
        for field in msgspec.structs.fields(shape):
            yield from _instants(field.type, f"{path}.{field.name}")
    elif shape is datetime or (get_origin(shape) is Annotated and get_args(shape)[0] is datetime):
        yield path, shape
    else:
        for argument in get_args(shape):
            yield from _instants(argument, path)


FIELDS = [found for name, shape in OBJECTS.items() for found in _instants(shape, name)]


def test_the_walk_finds_nested_and_plain_times() -> None:
    """The control of the test below: it sees fields in structs, and it sees a plain datetime."""
    paths = [path for path, _ in FIELDS]

    assert {"order.ordered_at", "milestone.at", "milestone.evidence.at", "inventory_snapshot.as_of"} <= set(paths)
    assert [("x", datetime)] == list(_instants(datetime | None, "x"))


@pytest.mark.parametrize(("path", "shape"), FIELDS, ids=[path for path, _ in FIELDS])
def test_every_instant_of_an_object_must_have_its_offset(path: str, shape: Any) -> None:
    """A time without an offset is refused, and the refusal can be told from others; with one it is taken."""
    assert msgspec.convert("2026-11-23T13:00:00-08:00", shape).tzinfo is not None
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert("2026-11-23T13:00:00", shape)
    assert lacks_offset(str(refused.value))
