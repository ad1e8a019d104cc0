"""Throttling: bursts, refilling, one bucket per account, region and operation, bounded memory."""

from dataclasses import replace

import pytest

from opentrail.errors import ApiError
from opentrail.opsworks import throttling
from opentrail.opsworks.throttling import Throttle
from tests.support.opsworks import call_of


class StoppedClock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.at_s = 1000.0

    def now(self) -> None:  # pragma: no cover - not asked
        raise AssertionError

    def monotonic(self) -> float:
        return self.at_s


def passed(throttle: Throttle, name: str = "DescribeServers", *, tries: int, account_id: str = "1" * 12) -> int:
    """How many of that many calls at once pass."""
    count = 0
    for _ in range(tries):
        try:
            throttle.admit(call_of(name, account_id=account_id))
        except ApiError as problem:
            assert (problem.code, problem.message, problem.status) == ("ThrottlingException", "Rate exceeded", 400)
        else:
            count += 1
    return count


def test_opsworks_throttle_is_aws_s_five_a_second_in_bursts_of_ten() -> None:
    """Ten at once, then five for each second that passes, never more than ten."""
    clock = StoppedClock()
    throttle = Throttle(5, clock)  # type: ignore[arg-type]
    assert passed(throttle, tries=30) == 10
    clock.at_s += 1
    assert passed(throttle, tries=30) == 5
    clock.at_s += 0.1
    assert passed(throttle, tries=30) == 0
    clock.at_s += 0.1
    assert passed(throttle, tries=30) == 1
    clock.at_s += 3600
    assert passed(throttle, tries=30) == 10


def test_opsworks_throttle_counts_operations_accounts_and_regions_apart() -> None:
    """One full bucket keeps nobody else from calling."""
    throttle = Throttle(1, StoppedClock())  # type: ignore[arg-type]
    assert passed(throttle, tries=9) == 2
    assert passed(throttle, "DescribeEvents", tries=9) == 2
    assert passed(throttle, account_id="2" * 12, tries=9) == 2
    throttle.admit(replace(call_of("DescribeServers", account_id="1" * 12), region="eu-west-1"))


@pytest.mark.parametrize("rate", [0, 0.1])
def test_opsworks_throttle_may_be_off_or_slow(rate: float) -> None:
    """0 lets everything pass; a rate below one a second still lets single calls pass."""
    assert passed(Throttle(rate, StoppedClock()), tries=50) == (50 if rate == 0 else 1)  # type: ignore[arg-type]


def test_opsworks_throttle_forgets_who_has_not_called_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Full buckets go when there are many."""
    monkeypatch.setattr(throttling, "_SWEEP_AT", 10)
    clock = StoppedClock()
    throttle = Throttle(5, clock)  # type: ignore[arg-type]
    for number in range(100):
        passed(throttle, tries=1, account_id=f"{number:012}")
        clock.at_s += 1
    assert len(throttle._buckets) <= 10
