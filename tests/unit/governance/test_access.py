"""Access: what is not granted is denied, tokens are kept as digests, links work once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from crossdock.durable.identity import Ids
from crossdock.errors import AccessDenied, ConfigurationError, NotFound
from crossdock.governance import access
from crossdock.store.engine import Store

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def test_the_table_denies_by_default() -> None:
    """Unknown roles and unknown actions have no rights, and each known right belongs to a known role."""
    assert not access.may("operator", "no.such.right")
    assert not access.may("nobody", "order.read")
    assert not access.may("", "")
    assert set(access.ROLES) == set(access.PERMISSIONS)


@pytest.mark.parametrize(
    ("role", "action", "expected"),
    [
        ("operator", "tenant.create", True),
        ("integrator", "release.apply", True),
        ("integrator", "key.create", False),
        ("operations", "message.replay", True),
        ("operations", "release.apply", False),
        ("agent", "order.read", True),
        ("agent", "message.raw", False),
        ("agent", "message.replay", False),
        ("auditor", "audit.verify", True),
        ("auditor", "order.cancel", False),
        ("auditor", "message.replay", False),
        ("partner", "message.ingest", True),
        ("partner", "order.read", False),
    ],
)
def test_roles_have_their_rights_only(role: str, action: str, expected: bool) -> None:
    """Each role may what its work needs and nothing beside it."""
    assert expected == access.may(role, action)


def test_a_key_identifies_its_holder(either_store: Store, ids: Ids) -> None:
    """A key's token is shown once and stands for its tenant, role and connection; the record keeps only a digest."""
    token, key = either_store.write_now(
        lambda c: access.create_key(c, "northgate", "partner", at=NOW, ids=ids, connection_id="swift-in")
    )

    identity = either_store.read_now(lambda c: access.identify(c, token))

    assert access.Identity("northgate", key.key_id, "partner", "swift-in") == identity
    assert token.startswith("xd_northgate_")
    kept = either_store.read_now(lambda c: c.query("select digest, label, key_id from api_keys"))
    assert token not in repr(kept)


def test_a_partner_ingests_only_on_its_own_connection() -> None:
    """A partner's key opens one connection of one tenant; an integrator's opens all of its tenant."""
    partner = access.Identity("northgate", "key_1", "partner", "swift-in")
    integrator = access.Identity("northgate", "key_2", "integrator")

    assert access.may_ingest(partner, "northgate", "swift-in")
    assert not access.may_ingest(partner, "northgate", "erp-in")
    assert not access.may_ingest(partner, "southgate", "swift-in")
    assert access.may_ingest(integrator, "northgate", "erp-in")
    assert not access.may_ingest(access.Identity("northgate", "key_3", "agent"), "northgate", "erp-in")
    assert not access.may_ingest(access.Identity("northgate", "key_4", "partner"), "northgate", "")


def test_a_partner_key_needs_a_connection(store: Store, ids: Ids) -> None:
    """A partner's key without a connection, and any other key with one, are refused."""
    for role, connection_id in (("partner", ""), ("operations", "swift-in"), ("boss", "")):
        with pytest.raises(ConfigurationError):
            store.write_now(
                lambda c, r=role, n=connection_id: access.create_key(
                    c, "northgate", r, at=NOW, ids=ids, connection_id=n
                )
            )


def test_wrong_tokens_all_look_the_same(store: Store, ids: Ids) -> None:
    """A mistyped, unknown, revoked or retargeted token gets one and the same answer."""
    token, key = store.write_now(lambda c: access.create_key(c, "northgate", "operations", at=NOW, ids=ids))
    store.write_now(lambda c: access.revoke_key(c, "northgate", key.key_id, at=NOW))
    unknown = access.new_token("northgate")
    wrong = [
        token,
        unknown,
        token[:-1] + ("0" if token[-1] != "0" else "1"),
        token.replace("north", "south"),
        "",
        "xd__",
    ]

    answers = set()
    for text in wrong:
        with pytest.raises(AccessDenied) as denied:
            store.read_now(lambda c, t=text: access.identify(c, t))
        answers.add((denied.value.code, str(denied.value)))

    assert 1 == len(answers)


def test_a_foreign_key_cannot_be_revoked(store: Store, ids: Ids) -> None:
    """Revoking another tenant's key is like revoking one that is not there."""
    _, key = store.write_now(lambda c: access.create_key(c, "southgate", "operations", at=NOW, ids=ids))

    with pytest.raises(NotFound):
        store.write_now(lambda c: access.revoke_key(c, "northgate", key.key_id, at=NOW))

    assert [None] == [k.revoked_at for k in store.read_now(lambda c: access.keys(c, "southgate"))]
    assert [] == store.read_now(lambda c: access.keys(c, "northgate"))


def test_a_session_ends_by_age_by_idleness_and_by_sign_out(store: Store) -> None:
    """A session lives at most twelve hours and one idle hour, and not after sign-out."""
    token, made = store.write_now(lambda c: access.create_session(c, "northgate", "ann", "operations", at=NOW))

    def alive(minutes: int) -> bool:
        return store.read_now(lambda c: access.session(c, token, at=NOW + timedelta(minutes=minutes))) is not None

    assert made == store.read_now(lambda c: access.session(c, token, at=NOW))
    assert alive(59)
    assert not alive(60)
    store.write_now(lambda c: access.touch_session(c, token, at=NOW + timedelta(minutes=59)))
    assert alive(60)
    store.write_now(lambda c: access.touch_session(c, token, at=NOW + timedelta(hours=12)))
    assert not alive(12 * 60)
    other, _ = store.write_now(lambda c: access.create_session(c, "northgate", "ann", "operations", at=NOW))
    store.write_now(lambda c: access.end_session(c, other))
    assert store.read_now(lambda c: access.session(c, other, at=NOW)) is None


def test_rotation_kills_the_old_token(store: Store) -> None:
    """After a rotation only the new token opens the session, and its end has not moved."""
    token, made = store.write_now(lambda c: access.create_session(c, "northgate", "ann", "operations", at=NOW))

    fresh, rotated = store.write_now(lambda c: access.rotate_session(c, token, at=NOW + timedelta(minutes=5)))

    assert store.read_now(lambda c: access.session(c, token, at=NOW + timedelta(minutes=5))) is None
    assert rotated == store.read_now(lambda c: access.session(c, fresh, at=NOW + timedelta(minutes=5)))
    assert made.expires_at == rotated.expires_at
    with pytest.raises(AccessDenied):
        store.write_now(lambda c: access.rotate_session(c, token, at=NOW + timedelta(minutes=5)))


def test_a_login_link_works_once_and_not_late(either_store: Store) -> None:
    """A link signs in once within its minutes; the second click and the late click are refused alike."""
    link = either_store.write_now(lambda c: access.create_login_link(c, "northgate", "ann", "operations", at=NOW))
    late = either_store.write_now(lambda c: access.create_login_link(c, "northgate", "ann", "operations", at=NOW))

    _, session = either_store.write_now(lambda c: access.redeem_login_link(c, link, at=NOW + timedelta(minutes=14)))

    assert access.Identity("northgate", "ann", "operations") == session.identity
    for token, minutes in ((link, 14), (late, 16), ("xl_northgate_nonsense", 0)):
        with pytest.raises(AccessDenied):
            either_store.write_now(
                lambda c, t=token, m=minutes: access.redeem_login_link(c, t, at=NOW + timedelta(minutes=m))
            )


def test_no_sessions_for_partners(store: Store) -> None:
    """A partner has a key and never a browser session."""
    with pytest.raises(AccessDenied):
        store.write_now(lambda c: access.create_session(c, "northgate", "swift", "partner", at=NOW))
    with pytest.raises(AccessDenied):
        store.write_now(lambda c: access.create_login_link(c, "northgate", "swift", "partner", at=NOW))


def test_expired_sessions_and_links_are_forgotten(store: Store) -> None:
    """What is over is removed and what lives stays."""
    store.write_now(lambda c: access.create_login_link(c, "northgate", "ann", "agent", at=NOW))
    store.write_now(lambda c: access.create_session(c, "northgate", "ann", "agent", at=NOW, hours=1))
    token, _ = store.write_now(
        lambda c: access.create_session(c, "northgate", "bob", "agent", at=NOW + timedelta(hours=1))
    )

    gone = store.write_now(lambda c: access.forget_expired(c, at=NOW + timedelta(hours=1)))

    assert 2 == gone
    assert store.read_now(lambda c: access.session(c, token, at=NOW + timedelta(hours=1))) is not None
