"""Secrets: sealed per tenant, bound to their place, never shown."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crossdock.errors import ConfigurationError, NotFound
from crossdock.governance import secrets
from crossdock.store.engine import Store

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
ROOT = bytes(range(32))


def test_what_is_put_is_got_back(either_store: Store) -> None:
    """A secret opens with the root key it was sealed under; a new version replaces the old one."""
    either_store.write_now(lambda c: secrets.put(c, "northgate", "swift", "first", root_key=ROOT, at=NOW))

    entry = either_store.write_now(lambda c: secrets.put(c, "northgate", "swift", "hunter2", root_key=ROOT, at=NOW))

    got = either_store.read_now(lambda c: secrets.get(c, "northgate", "swift", root_key=ROOT))
    assert ("hunter2", 2) == (got.reveal(), entry.version)
    assert [entry] == either_store.read_now(lambda c: secrets.listed(c, "northgate"))


def test_a_foreign_secret_is_absent(store: Store) -> None:
    """Another tenant's secret looks exactly like one that was never stored."""
    store.write_now(lambda c: secrets.put(c, "southgate", "swift", "theirs", root_key=ROOT, at=NOW))

    with pytest.raises(NotFound) as foreign:
        store.read_now(lambda c: secrets.get(c, "northgate", "swift", root_key=ROOT))
    with pytest.raises(NotFound) as absent:
        store.read_now(lambda c: secrets.get(c, "harbor", "swift", root_key=ROOT))

    assert str(absent.value) == str(foreign.value)
    assert [] == store.read_now(lambda c: secrets.listed(c, "northgate"))


@pytest.mark.parametrize("moved", [("southgate", "swift"), ("northgate", "harbor")])
def test_a_moved_seal_does_not_open(moved: tuple[str, str]) -> None:
    """Sealed bytes copied to another tenant or name are refused."""
    sealed = secrets.seal(ROOT, "northgate", "swift", 1, "hunter2")

    with pytest.raises(ConfigurationError, match="does not open") as refused:
        secrets.unseal(ROOT, *moved, sealed)

    assert "XD-SEC-006" == refused.value.code


def test_a_changed_byte_or_key_does_not_open() -> None:
    """Any changed byte of a seal, its version too, and any other root key are refused."""
    sealed = secrets.seal(ROOT, "northgate", "swift", 1, "hunter2")

    for place in range(len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(ConfigurationError):
            secrets.unseal(ROOT, "northgate", "swift", changed)
    with pytest.raises(ConfigurationError):
        secrets.unseal(bytes(32), "northgate", "swift", sealed)


def test_equal_values_have_unequal_seals() -> None:
    """Nobody can tell from the record that two secrets are equal, and no value lies there in clear."""
    one, two = (secrets.seal(ROOT, "northgate", "swift", 1, "hunter2") for _ in range(2))

    assert one != two
    assert b"hunter2" not in one


def test_a_secret_shows_only_a_mask() -> None:
    """repr, str, format and pickle never give the value away."""
    secret = secrets.Secret("hunter2")

    shown = f"{secret!r} {secret!s} {secret} {secret:>20} {[secret]} {{'a': secret}}"

    assert "hunter2" not in shown
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_rewrap_moves_all_to_a_new_root_key(store: Store) -> None:
    """After a change of the root key the secrets open under the new one and no longer under the old one."""
    new_root = bytes(reversed(ROOT))
    store.write_now(lambda c: secrets.put(c, "northgate", "swift", "hunter2", root_key=ROOT, at=NOW))

    count = store.write_now(lambda c: secrets.rewrap(c, "northgate", old_root_key=ROOT, new_root_key=new_root))

    assert 1 == count
    assert "hunter2" == store.read_now(lambda c: secrets.get(c, "northgate", "swift", root_key=new_root)).reveal()
    with pytest.raises(ConfigurationError):
        store.read_now(lambda c: secrets.get(c, "northgate", "swift", root_key=ROOT))


def test_references_resolve(store: Store, tmp_path: Path) -> None:
    """`secret:`, `env:` and `file:` each find their value; a value written out is refused without being repeated."""
    store.write_now(lambda c: secrets.put(c, "northgate", "swift", "sealed", root_key=ROOT, at=NOW))
    (tmp_path / "key").write_text("in a file\n")

    sealed = store.read_now(
        lambda c: secrets.resolve("secret:swift", connection=c, tenant_id="northgate", root_key=ROOT)
    )

    assert "sealed" == sealed.reveal()
    assert "in the environment" == secrets.resolve("env:TOKEN", environment={"TOKEN": "in the environment"}).reveal()
    assert "in a file" == secrets.resolve(f"file:{tmp_path / 'key'}").reveal()
    with pytest.raises(ConfigurationError) as refused:
        secrets.resolve("hunter2")
    assert "hunter2" not in str(refused.value)
    with pytest.raises(ConfigurationError, match="not open"):
        secrets.resolve("env:TOKEN", environment={"TOKEN": "x"}, own_process=False)
