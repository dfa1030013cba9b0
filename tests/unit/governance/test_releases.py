"""Releases: immutable, numbered, planned before they are applied, taken back by going forward."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crossdock.durable.identity import Ids, ManualClock
from crossdock.errors import ConfigurationError, Conflict, NotFound
from crossdock.governance import audit, releases, tenants
from crossdock.store.engine import Store, open_store

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)

Applied = Callable[..., Any]


def test_a_plan_changes_nothing(store: Store, pack: dict[str, str]) -> None:
    """A plan lists the changes and the results of the maps' tests, and leaves the record as it was."""
    before = store.read_now(lambda c: c.query("select count(*) from releases"))

    plan = store.read_now(lambda c: releases.plan(c, "northgate", pack))

    assert plan.ok
    assert not plan.unchanged
    assert sorted(pack) == [change.file for change in plan.changes]
    assert [True, True] == [test.passed for test in plan.tests]
    assert before == store.read_now(lambda c: c.query("select count(*) from releases"))


def test_an_applied_release_is_active(either_store: Store, pack: dict[str, str], ids: Ids) -> None:
    """After an apply the tenant runs these files; the other tenant still has none."""
    release = either_store.write_now(
        lambda c: releases.apply(c, "northgate", pack, author="ann", note="first", at=NOW, ids=ids)
    )

    active = either_store.read_now(lambda c: releases.active(c, "northgate"))

    assert (1, "first", True) == (release.number, release.note, release.active)
    assert release.release_id == active.release_id
    assert pack == dict(active.files)
    assert [release] == either_store.read_now(lambda c: releases.history(c, "northgate"))
    with pytest.raises(NotFound):
        either_store.read_now(lambda c: releases.active(c, "southgate"))
    with pytest.raises(NotFound):
        either_store.read_now(lambda c: releases.load(c, "southgate", release.release_id))
    entry = either_store.read_now(lambda c: audit.entries(c, "northgate"))[0]
    assert ("ann", "release.apply", release.release_id) == (entry.actor, entry.action, entry.object)


def test_a_foreign_pack_is_refused(store: Store, pack: dict[str, str], ids: Ids) -> None:
    """A pack that names one tenant is never applied to another."""
    with pytest.raises(ConfigurationError, match="not of southgate"):
        store.write_now(lambda c: releases.apply(c, "southgate", pack, author="ann", note="", at=NOW, ids=ids))


def test_the_same_content_makes_no_release(applied: Applied, store: Store, pack: dict[str, str]) -> None:
    """Applying what is active already returns that release and adds none."""
    first = applied(pack)

    again = applied(pack)

    assert first.release_id == again.release_id
    assert 1 == len(store.read_now(lambda c: releases.history(c, "northgate")))


def test_a_failing_map_test_stops_the_apply(applied: Applied, store: Store, pack: dict[str, str]) -> None:
    """A map that fails its own test is shown by the plan with the difference and is not applied."""
    pack["maps/reno-order.yaml"] = pack["maps/reno-order.yaml"].replace(
        "expect: {order: SO-1}", "expect: {order: SO-2}"
    )

    plan = store.read_now(lambda c: releases.plan(c, "northgate", pack))
    with pytest.raises(ConfigurationError, match="fails") as refused:
        applied(pack)

    assert not plan.ok
    assert ["reno-order"] == [test.map for test in plan.tests if not test.passed]
    assert "XD-MAP-017" == refused.value.code
    assert [] == store.read_now(lambda c: releases.history(c, "northgate"))


def test_lint_stops_a_map_that_cannot_fit(store: Store, pack: dict[str, str]) -> None:
    """A target field the canonical object does not have is an error of the plan, with file and line."""
    pack["maps/erp-order.yaml"] = pack["maps/erp-order.yaml"].replace("service_level:", "servce_level:", 1)

    plan = store.read_now(lambda c: releases.plan(c, "northgate", pack))

    assert not plan.ok
    assert any(f.code == "XD-MAP-006" and f.pointer.startswith("maps/erp-order.yaml:7") for f in plan.findings)


def test_a_stale_plan_is_refused(applied: Applied, store: Store, pack: dict[str, str], ids: Ids) -> None:
    """A plan made before somebody else's apply does not overwrite that apply unseen."""
    plan = store.read_now(lambda c: releases.plan(c, "northgate", pack))
    applied({**pack, "brand.yaml": "product_name: Other\n"})

    with pytest.raises(Conflict) as refused:
        store.write_now(
            lambda c: releases.apply(
                c, "northgate", pack, author="bob", note="", at=NOW, ids=ids, base_digest=plan.base_digest
            )
        )

    assert "XD-CFG-008" == refused.value.code


def test_a_lookup_row_is_a_release_with_one_change(
    applied: Applied, store: Store, pack: dict[str, str], ids: Ids
) -> None:
    """Setting a row keeps the file's comments, changes that row alone and can be seen as one field in the diff."""
    first = applied(pack)

    def set_row(key: str, value: str) -> Any:
        return store.write_now(
            lambda c: releases.set_lookup_row(c, "northgate", "services", key, value, author="ann", at=NOW, ids=ids)
        )

    added = set_row("NO", 'overnight: "fast" # yes')
    changed = set_row("X", "standard")

    active = store.read_now(lambda c: releases.active(c, "northgate"))
    assert {"X": "standard", "N": "standard", "NO": 'overnight: "fast" # yes'} == active.lookups["services"]
    assert "# what the ERP calls" in active.files["lookups/services.yaml"]
    diff = store.read_now(lambda c: releases.diff(c, "northgate", first.release_id, added.release_id))
    assert [("lookups/services.yaml", "rows.NO", None)] == [(d.file, d.path, d.before) for d in diff]
    diff = store.read_now(lambda c: releases.diff(c, "northgate", added.release_id, changed.release_id))
    assert [("rows.X", "express", "standard")] == [(d.path, d.before, d.after) for d in diff]
    assert set_row("X", "standard").release_id == changed.release_id
    with pytest.raises(NotFound):
        store.write_now(
            lambda c: releases.set_lookup_row(c, "northgate", "servces", "X", "y", author="a", at=NOW, ids=ids)
        )
    with pytest.raises(ConfigurationError):
        set_row("Z", "a\nb")


@pytest.mark.parametrize("rows", ["rows: {}\n", "rows:\n", "rows: {A: b}\n"])
def test_a_row_fits_into_any_layout(applied: Applied, store: Store, pack: dict[str, str], ids: Ids, rows: str) -> None:
    """Empty tables and tables in braces take a row too."""
    pack["lookups/extra.yaml"] = f"table: extra\ndescription: codes\n{rows}"
    applied(pack)

    store.write_now(lambda c: releases.set_lookup_row(c, "northgate", "extra", "K", "v", author="ann", at=NOW, ids=ids))

    assert "v" == store.read_now(lambda c: releases.active(c, "northgate")).lookups["extra"]["K"]


def test_a_rollback_goes_forward(applied: Applied, store: Store, pack: dict[str, str], ids: Ids) -> None:
    """Going back makes a third release with the files of the first; nothing of the history is lost."""
    first = applied(pack)
    applied({**pack, "brand.yaml": "product_name: Northgate\n"})

    back = store.write_now(lambda c: releases.rollback(c, "northgate", first.release_id, author="ann", at=NOW, ids=ids))

    assert (3, first.digest, "Back to release 1") == (back.number, back.digest, back.note)
    history = store.read_now(lambda c: releases.history(c, "northgate"))
    assert [(3, True), (2, False), (1, False)] == [(release.number, release.active) for release in history]


def test_changed_files_in_the_record_are_noticed(applied: Applied, store: Store, pack: dict[str, str]) -> None:
    """A release whose stored files were changed afterwards is not run."""
    release = applied(pack)
    store.write_now(lambda c: c.execute("update releases set files = replace(files, 'express', 'slow___')"))
    releases.forget_compiled()

    with pytest.raises(ConfigurationError) as refused:
        store.read_now(lambda c: releases.load(c, "northgate", release.release_id))

    assert "XD-SYS-005" == refused.value.code


def test_a_release_is_compiled_once(applied: Applied, store: Store, pack: dict[str, str]) -> None:
    """Loading a release twice gives the same object; the cache holds a bounded number of them."""
    release = applied(pack)

    one = store.read_now(lambda c: releases.load(c, "northgate", release.release_id))
    two = store.read_now(lambda c: releases.load(c, "northgate", release.release_id))

    assert one is two
    cache = releases._Cache(2)
    for name in "abc":
        cache.put(("northgate", name, "digest"), one)
    assert [None, one, one] == [cache.get(("northgate", name, "digest")) for name in "abc"]


def test_two_records_with_the_same_ids_share_nothing(tmp_path: Path, pack: dict[str, str]) -> None:
    """Seeded hubs make the same ids in every record: each record runs the files it holds itself."""
    names = []
    for name in ("One", "Two"):
        opened = open_store(f"sqlite:///{tmp_path / name}.db")
        ids = Ids(ManualClock(NOW), seed=1)
        files = {**pack, "pack.yaml": pack["pack.yaml"].replace("name: Northgate", f"name: {name}")}
        opened.write_now(lambda c: tenants.create(c, "northgate", "Northgate", at=NOW))
        applied = opened.write_now(
            lambda c, files=files, ids=ids: releases.apply(c, "northgate", files, author="a", note="", at=NOW, ids=ids)
        )
        found = opened.read_now(lambda c, applied=applied: releases.load(c, "northgate", applied.release_id))
        names.append((applied.release_id, opened.read_now(lambda c: releases.active(c, "northgate").head.name)))
        assert found.head.name == name
        opened.close()

    assert names[0][0] == names[1][0]
    assert ["One", "Two"] == [name for _, name in names]


def test_named_elements_differ_by_name(store: Store, applied: Applied, pack: dict[str, str]) -> None:
    """A site put in front of another is one added site, not two changed ones."""
    applied(pack)
    pack["partners/swift.yaml"] = "partner: swift\nname: Swift\nrole: 3pl\n"
    pack["sites.yaml"] = (
        "sites:\n  - {site: swift, partner: swift, timezone: UTC}\n  - {site: reno, partner: reno, timezone: UTC}\n"
    )

    plan = store.read_now(lambda c: releases.plan(c, "northgate", pack))

    found = {(change.file, change.path, change.kind) for change in plan.changes}
    assert {
        ("partners/swift.yaml", "", "added"),
        ("sites.yaml", "sites[swift]", "added"),
        ("sites.yaml", "sites[reno].timezone", "changed"),
    } == found
