"""The retry policy and the circuit: pure, and exact to the second."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.durable.retry import Circuit, ClassPolicy, RetryPolicy, next_step

POLICY = RetryPolicy(attempts_max=12, first_delay_seconds=30, delay_seconds_max=3600, circuit_failures_max=3)


def test_delays_double_up_to_an_hour() -> None:
    """30, 60, 120 … and never more than the longest."""
    delays = [next_step(POLICY, attempt, "failed").delay_seconds for attempt in range(1, 12)]

    assert [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600] == delays


@pytest.mark.parametrize(
    ("outcome", "permanent", "attempt", "action"),
    [
        ("done", False, 1, "settle"),
        ("done", False, 99, "settle"),
        ("failed", False, 1, "retry"),
        ("failed", True, 1, "dead"),
        ("failed", False, 12, "dead"),
        ("unknown", False, 1, "resolve"),
        ("unknown", True, 1, "resolve"),
        ("unknown", False, 12, "dead"),
    ],
)
def test_what_follows_an_attempt(outcome: str, permanent: bool, attempt: int, action: str) -> None:
    """Done settles, a refusal is final, unknown is resolved and never taken for a refusal."""
    assert action == next_step(POLICY, attempt, outcome, permanent=permanent).action  # type: ignore[arg-type]


@given(st.integers(1, 11), st.floats(0, 100_000))
def test_the_partners_own_time_is_never_undercut(attempt: int, retry_after: float) -> None:
    """Whatever a partner asks for, it is left alone at least so long, and at least as long as the policy says."""
    plain = next_step(POLICY, attempt, "failed").delay_seconds
    delay = next_step(POLICY, attempt, "failed", retry_after_seconds=retry_after).delay_seconds

    assert delay == max(plain, retry_after)


def test_the_circuit_opens_probes_once_and_closes() -> None:
    """Three failures open it; at its time one probe may start; a failed probe opens it again at once."""
    circuit = Circuit()
    for _ in range(3):
        assert circuit.allows(0)
        circuit.book(POLICY, False, 0)
    assert ("open", 60.0) == (circuit.state, circuit.probe_at)
    assert not circuit.allows(59)
    assert circuit.allows(60)
    assert not circuit.allows(60)
    circuit.book(POLICY, False, 60)
    assert ("open", 120.0) == (circuit.state, circuit.probe_at)
    assert circuit.allows(120)
    circuit.book(POLICY, True, 121)
    assert ("closed", 0) == (circuit.state, circuit.failures)


def test_a_partner_that_names_a_time_opens_the_circuit_at_once() -> None:
    """429 with Retry-After is meant for everything we send, not for one message."""
    circuit = Circuit()
    circuit.book(POLICY, False, 10, retry_after_seconds=600)

    assert ("open", 610.0) == (circuit.state, circuit.probe_at)


def test_each_class_of_error_has_its_own_policy() -> None:
    """What a class does not set is the connection's; another class is not touched by it."""
    policy = RetryPolicy(
        attempts_max=3, first_delay_seconds=30, classes={"system": ClassPolicy(attempts_max=9, first_delay_seconds=60)}
    )

    assert ("retry", 60) == _step(policy, 1, "system")
    assert ("retry", 240) == _step(policy, 3, "system")
    assert ("dead", 0) == _step(policy, 9, "system")
    assert ("dead", 0) == _step(policy, 3, "partner")
    assert ("retry", 30) == _step(policy, 1, "data")


def _step(policy: RetryPolicy, attempt: int, error_class: str) -> tuple[str, float]:
    step = next_step(policy, attempt, "failed", error_class=error_class)
    return step.action, step.delay_seconds
