"""The evaluator against an independent one, npm's @cloud-copilot/iam-simulate, on thousands of generated requests.

Disagreements fail, save those that the table below explains; docs/decisions/0011-policy-evaluation.md says more about
each. The other evaluator is installed by npm on first use, beside the virtual environment's packages; its versions are
pinned in ``iam_simulate/package.json``.
"""

import fcntl
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from opentrail.identity.authorization import Limb, Verdict
from opentrail.identity.statements import Decision
from tests.oracle.authorization_cases import FEDERATED, HOME, Case, cases, ours, simulation

SOURCES = Path(__file__).parent / "iam_simulate"
CACHE = Path(sys.prefix) / "npm-oracle"
COUNT, SEED = 6000, 20261123
EXPLAINED_AT_MOST = 0.03  # of all cases; more would mean that the table hides something
_DECISIONS = {
    "Allowed": Decision.ALLOW,
    "ExplicitlyDenied": Decision.EXPLICIT_DENY,
    "ImplicitlyDenied": Decision.IMPLICIT_DENY,
}


@dataclass(frozen=True, slots=True)
class Explained:
    """A kind of disagreement where we follow AWS's documentation and the other evaluator does not."""

    name: str
    reason: str
    applies: Callable[[Case, Verdict, Decision], bool]


def _conditions(case: Case) -> Iterator[tuple[str, str, list[str]]]:
    """Operator, key and values of every condition in a case."""
    for statement in case.statements():
        for operator, keys in statement.get("Condition", {}).items():
            for key, values in keys.items():
                yield operator, key, values if isinstance(values, list) else [values]


def _lacks(case: Case, text: str) -> bool:
    """Whether a text refers to a variable without default that the request has no value for."""
    known = {key.lower() for key in case.context}
    return any(name.lower() not in known and "," not in name for name in re.findall(r"\$\{([^}]+)\}", text))


def _federated_without_session(case: Case, _ours: Verdict, theirs: Decision) -> bool:
    return case.principal is FEDERATED and case.session is None and theirs is Decision.ALLOW


def _named_session(case: Case, verdict: Verdict, theirs: Decision) -> bool:
    at_home = case.owner == HOME == case.principal.account_id
    by_resource = verdict.allowed and verdict.limb in (Limb.RESOURCE, Limb.TRUST)
    return at_home and case.session is not None and by_resource and theirs is not Decision.ALLOW


def _inverted_without_value(case: Case, _ours: Verdict, _theirs: Decision) -> bool:
    return any(
        "Not" in operator and any(_lacks(case, value) for value in values) for operator, _, values in _conditions(case)
    )


def _not_resource_without_value(case: Case, _ours: Verdict, _theirs: Decision) -> bool:
    return any(
        statement["Effect"] == "Deny" and _lacks(case, json.dumps(statement.get("NotResource", "")))
        for statement in case.statements()
    )


def _epoch(case: Case, _ours: Verdict, _theirs: Decision) -> bool:
    return any("Date" in operator and "1795435200" in values for operator, _, values in _conditions(case))


def _other_family(case: Case, _ours: Verdict, _theirs: Decision) -> bool:
    address = str(case.context.get("aws:SourceIp", ""))
    return ":" in address and any(
        "NotIp" in operator and "203.0.113.9" in values for operator, _, values in _conditions(case)
    )


EXPLAINED = (
    Explained(
        "federated user without session policy",
        "GetFederationToken without a session policy gives no permissions but those of resource-based policies",
        _federated_without_session,
    ),
    Explained(
        "session named by a resource-based policy",
        "what is granted to the session itself (or to everybody) is not limited by what session policies leave out",
        _named_session,
    ),
    Explained(
        "inverted operator and a variable without value",
        "a variable without value is null, and nothing is equal to null: the inverted operator holds",
        _inverted_without_value,
    ),
    Explained(
        "NotResource and a variable without value",
        "the resource with the variable matches no resource, so a Deny to all others applies",
        _not_resource_without_value,
    ),
    Explained("epoch dates", "numbers of Date conditions are seconds, not milliseconds", _epoch),
    Explained("an address of the other family", "an IPv6 address is not an IPv4 address", _other_family),
)


@pytest.fixture(scope="module")
def evaluator() -> Path:
    """A folder with the other evaluator installed; skips where npm cannot."""
    if not (shutil.which("npm") and shutil.which("node")):
        pytest.skip("npm and node are not installed")
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = (SOURCES / "package.json").read_text()
        installed = CACHE / "installed.json"
        if not installed.exists() or installed.read_text() != wanted:
            (CACHE / "package.json").write_text(wanted)
            command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
            done = subprocess.run(command, cwd=CACHE, capture_output=True, text=True, timeout=180, check=False)
            if done.returncode != 0:
                pytest.skip(f"npm cannot install the other evaluator: {done.stderr[-300:]}")
            installed.write_text(wanted)
        shutil.copy(SOURCES / "simulate.mjs", CACHE / "simulate.mjs")
    return CACHE


def answers(evaluator: Path, sample: list[Case]) -> list[dict[str, Any]]:
    """What the other evaluator says of each case, from one process."""
    lines = "".join(json.dumps(simulation(case)) + "\n" for case in sample)
    done = subprocess.run(
        ["node", "simulate.mjs"], cwd=evaluator, input=lines, capture_output=True, text=True, timeout=180, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_both_evaluators_agree(evaluator: Path) -> None:
    """Thousands of generated requests get the same decision from both, save the explained kinds of disagreement."""
    sample = cases(COUNT, SEED)
    found = answers(evaluator, sample)
    assert len(found) == COUNT
    agreed, explained, unexplained = Counter[Decision](), Counter[str](), list[str]()
    for case, answer in zip(sample, found, strict=True):
        assert "error" not in answer, (answer, simulation(case))
        assert answer["ignored"] == [], (answer, simulation(case))
        theirs, verdict = _DECISIONS[answer["result"]], ours(case)
        if theirs is verdict.decision:
            agreed[theirs] += 1
            continue
        why = next((entry.name for entry in EXPLAINED if entry.applies(case, verdict, theirs)), None)
        if why is None:
            unexplained.append(f"ours {verdict}, theirs {theirs}: {json.dumps(simulation(case))}")
        else:
            explained[why] += 1
    assert not unexplained, "\n".join([f"{len(unexplained)} disagreements", *unexplained[:5]])
    assert min(agreed.values()) > COUNT // 20, f"the sample is lopsided: {agreed}"
    assert sum(explained.values()) <= COUNT * EXPLAINED_AT_MOST, explained
    assert set(explained) == {entry.name for entry in EXPLAINED}, f"an explanation that nothing needs: {explained}"


def test_the_sample_is_the_same_every_time() -> None:
    """A failure of the comparison can be looked at again: seeds decide everything."""
    assert cases(20, SEED) == cases(20, SEED)
    assert cases(20, SEED) != cases(20, SEED + 1)
