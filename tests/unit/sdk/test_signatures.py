"""Webhook signatures: the public vectors, rotation, and typed refusals for everything else."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from crossdock.errors import AccessDenied, ConfigurationError
from crossdock.sdk.signatures import (
    is_usable_secret,
    sign_hmac,
    sign_standard,
    verify_hmac,
    verify_standard,
)

# The vectors of the Standard Webhooks reference libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PRIVATE = "whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk="
ID, STAMP, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
V1 = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
V1A = "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag=="
NOW = datetime.fromtimestamp(STAMP, UTC)
CODES = {"XD-SEC-010", "XD-SEC-011", "XD-SEC-012", "XD-SEC-013"}


def headers(signature: str = V1, identity: str = ID, stamp: str = str(STAMP)) -> dict[str, str]:
    return {"Webhook-Id": identity, "WEBHOOK-TIMESTAMP": stamp, "webhook-signature": signature}


def public_of(private: str) -> str:
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(private.removeprefix("whsk_")))
    return "whpk_" + base64.b64encode(key.public_key().public_bytes_raw()).decode()


@pytest.mark.parametrize("secret, expected", [(SECRET, V1), (PRIVATE, V1A)])
def test_public_vectors(secret: str, expected: str) -> None:
    """Signing gives the published signatures, for HMAC and for Ed25519."""
    assert expected == sign_standard(ID, STAMP, BODY, [secret])["webhook-signature"]


@pytest.mark.parametrize("secret, signature", [(SECRET, V1), (PRIVATE, V1A), (public_of(PRIVATE), V1A)])
def test_published_signatures_verify(secret: str, signature: str) -> None:
    """The published messages are genuine, under HMAC, private and public keys."""
    verified = verify_standard(headers(signature), BODY, [secret], now=NOW)

    assert (ID, NOW) == (verified.id, verified.signed_at)


def test_rotation_signs_with_all_and_accepts_any() -> None:
    """While a secret is being changed both signatures go out, and a receiver with either accepts."""
    old, new = SECRET, "whsec_" + base64.b64encode(b"n" * 32).decode()
    signed = sign_standard(ID, STAMP, BODY, [new, old])

    assert 2 == len(signed["webhook-signature"].split(" "))
    for known in ([old], [new], ["other", new]):
        assert ID == verify_standard(signed, BODY, known, now=NOW).id


def code_of(values: dict[str, str], body: bytes = BODY, secrets: tuple[str, ...] = (SECRET,), shift: float = 0) -> str:
    with pytest.raises(AccessDenied) as denied:
        verify_standard(values, body, secrets, now=NOW + timedelta(seconds=shift))
    return denied.value.code


@pytest.mark.parametrize("name", ["Webhook-Id", "WEBHOOK-TIMESTAMP", "webhook-signature"])
def test_missing_header(name: str) -> None:
    """Each of the three headers has to be there."""
    values = headers()
    del values[name]

    assert "XD-SEC-010" == code_of(values)


@pytest.mark.parametrize(
    "values",
    [
        headers("v1"),
        headers("v1,"),
        headers(",x"),
        headers("v1,not base64!"),
        headers("v1,AAAA"),
        headers(V1 + "\u00e9"),
        headers(V1.replace("+", "\udcff")),
        headers(" " * 5),
        headers(" ".join([V1] * 17)),
        headers("x" * 5000),
        headers(stamp="1614265330.0"),
        headers(stamp="-1"),
        headers(stamp="+1614265330"),
        headers(stamp="٣٤"),
        headers(stamp="1" * 30),
        headers(stamp="0x1"),
        headers(stamp=" 1614265330"),
        headers(identity="a b"),
        headers(identity="x" * 256),
        headers(identity="msg.1614265330"),
        {**headers(), "Webhook-Signature": V1},
    ],
)
def test_malformed_header(values: dict[str, str]) -> None:
    """Whatever cannot be read is malformed, not an exception of some library."""
    assert "XD-SEC-011" == code_of(values)


@pytest.mark.parametrize("shift, fine", [(300, True), (301, False), (-300, True), (-301, False), (86_400, False)])
def test_window_has_sharp_edges(shift: float, fine: bool) -> None:
    """A timestamp five minutes old or early is accepted, one second more is not."""
    if fine:
        assert ID == verify_standard(headers(), BODY, [SECRET], now=NOW + timedelta(seconds=shift)).id
    else:
        assert "XD-SEC-012" == code_of(headers(), shift=shift)


@pytest.mark.parametrize(
    "values, body, secrets",
    [
        (headers(), BODY + b" ", (SECRET,)),
        (headers(), BODY, ()),
        (headers(), BODY, ("",)),
        (headers(), BODY, ("whsec_",)),
        (headers(), BODY, ("whsec_!",)),
        (headers(), BODY, ("whpk_AAAA",)),
        (headers(), BODY, ("wrong",)),
        (headers(identity="msg_other"), BODY, (SECRET,)),
        (headers(stamp=str(STAMP + 1)), BODY, (SECRET,)),
        (headers("v2," + V1[3:]), BODY, (SECRET,)),
        (headers("v1," + V1A[4:48]), BODY, (SECRET,)),
        (headers("v1a," + V1A[4:]), BODY, (SECRET,)),
        (headers(V1), BODY, (public_of(PRIVATE),)),
    ],
)
def test_wrong_signature(values: dict[str, str], body: bytes, secrets: tuple[str, ...]) -> None:
    """A changed body, id or time, another scheme, an empty or unreadable secret: nothing fits."""
    assert code_of(values, body, secrets) in ("XD-SEC-013", "XD-SEC-011")


def test_empty_secret_never_verifies() -> None:
    """What anybody can sign with an empty key is refused."""
    forged = "v1," + sign_hmac(f"{ID}.{STAMP}.".encode() + BODY, "", encoding="base64")

    assert "XD-SEC-013" == code_of(headers(forged), secrets=("", "whsec_"))


@given(
    st.dictionaries(
        st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature", "Webhook-Id", "x"]),
        st.one_of(st.text(max_size=80), st.sampled_from([ID, str(STAMP), V1, V1A, "v1,", f"v1 {V1}"])),
    ),
    st.binary(max_size=40),
    st.lists(st.one_of(st.text(st.characters(codec="utf-8"), max_size=40), st.just(SECRET)), max_size=3),
)
def test_verification_is_total(values: dict[str, str], body: bytes, secrets: list[str]) -> None:
    """Any headers, body and secrets give a verified message or one of four refusals."""
    codes = []
    for verify in (
        lambda: verify_standard(values, body, secrets, now=NOW),
        lambda: verify_hmac(values, body, secrets, header="webhook-signature", now=NOW),
        lambda: verify_hmac(values, body, secrets, header="x", timestamp_header="webhook-timestamp", now=NOW),
    ):
        try:
            verify()
        except AccessDenied as denied:
            codes.append(denied.code)

    assert set(codes) <= CODES


@given(st.binary(max_size=200), st.integers(0, 2**31), st.from_regex(r"[a-zA-Z0-9_-]{1,40}", fullmatch=True))
def test_what_is_signed_verifies_and_a_flipped_bit_does_not(body: bytes, stamp: int, identity: str) -> None:
    """Signing and verifying are inverse, and every change of the body is seen."""
    stamp += 1
    now = datetime.fromtimestamp(stamp, UTC)
    signed = sign_standard(identity, stamp, body, [SECRET])

    assert identity == verify_standard(signed, body, [SECRET], now=now).id
    with pytest.raises(AccessDenied):
        verify_standard(signed, body + b"x", [SECRET], now=now)


@pytest.mark.parametrize("encoding, prefix", [("hex", ""), ("hex", "sha256="), ("base64", ""), ("base64", "sha256=")])
def test_plain_hmac_verifies(encoding: str, prefix: str) -> None:
    """Hex and base64, with and without a prefix, are understood; any of several secrets does."""
    value = sign_hmac(BODY, "s3cret", encoding=encoding, prefix=prefix)  # type: ignore[arg-type]

    verify_hmac({"X-Signature": value}, BODY, ["old", "s3cret"], now=NOW)
    with pytest.raises(AccessDenied) as denied:
        verify_hmac({"X-Signature": value}, BODY + b"x", ["s3cret"], now=NOW)
    assert "XD-SEC-013" == denied.value.code


def test_plain_hmac_with_a_timestamp_expires() -> None:
    """A signed timestamp limits how long a captured request is good for."""
    value = sign_hmac(BODY, "s3cret", timestamp=STAMP)
    values = {"x-signature": value, "x-time": str(STAMP)}

    assert NOW == verify_hmac(values, BODY, ["s3cret"], timestamp_header="x-time", now=NOW).signed_at
    with pytest.raises(AccessDenied) as denied:
        verify_hmac(values, BODY, ["s3cret"], timestamp_header="x-time", now=NOW + timedelta(seconds=301))
    assert "XD-SEC-012" == denied.value.code


def test_secrets_are_linted_before_use() -> None:
    """A secret that cannot sign is told apart early; signing with it is a configuration error."""
    usable = {
        text: is_usable_secret(text)
        for text in (SECRET, PRIVATE, public_of(PRIVATE), "plain", "", "whsec_!", "whsk_AA==")
    }

    assert [True, True, True, True, False, False, False] == list(usable.values())
    for secrets in ([], [""], ["whsec_!"], ["whsk_AA=="]):
        with pytest.raises(ConfigurationError):
            sign_standard(ID, STAMP, BODY, secrets)
    with pytest.raises(ConfigurationError):
        sign_standard("a\r\nb", STAMP, BODY, [SECRET])
