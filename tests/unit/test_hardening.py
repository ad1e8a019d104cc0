"""What `opentrail trails harden` recommends, decided from what a bucket says of itself."""

import json
from typing import Any

from opentrail.cli.hardening import (
    DENIAL,
    BucketFacts,
    Measure,
    Root,
    denial,
    measure_of_trail,
    measures_of_bucket,
    retention_rule,
)

ROOT = "AWSLogs/123456789012/"
ROOTS = (Root(ROOT, ROOT),)
KEEPERS = ["arn:aws:iam::123456789012:root"]
OTHERS = {"Sid": "Trail", "Effect": "Allow", "Principal": "*", "Action": "s3:Get*", "Resource": "arn:aws:s3:::logs"}
DENIED = denial("logs", [ROOT], KEEPERS)


def of(name: str, **facts: Any) -> Measure:
    """One measure for bucket ``logs``."""
    found = measures_of_bucket(BucketFacts("logs", ROOTS, **facts), KEEPERS, 400)
    return next(measure for measure in found if measure.measure == name)


def test_a_bare_bucket_misses_everything() -> None:
    """And each measure says what would be put."""
    found = measures_of_bucket(BucketFacts("logs", ROOTS), KEEPERS, 400)
    assert [(one.measure, one.state) for one in found] == [
        ("versioning", "missing"),
        ("bucket policy", "missing"),
        ("lifecycle rule", "missing"),
    ]
    assert json.loads(found[1].value)["Statement"] == [DENIED]
    assert found[2].value == [retention_rule(ROOT, 400)]


def test_what_would_be_put_is_what_is_asked_for() -> None:
    """Once it is in force nothing is left to do, also where the server writes lists of one as values."""
    written = {
        **DENIED,
        "Resource": DENIED["Resource"][0],
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": KEEPERS[0]}},
    }
    for statement in (DENIED, written):
        assert of("bucket policy", policy={"Statement": [OTHERS, statement]}).state == "ok"
    assert of("bucket policy", policy={"Statement": statement}).state == "ok"
    assert of("lifecycle rule", rules=[retention_rule(ROOT, 30)]).state == "ok"
    assert of("versioning", versioning="Enabled").state == "ok"
    assert of("versioning", versioning="Suspended").state == "missing"


def test_other_statements_and_roots_stay() -> None:
    """Only our own statement is written anew, and it keeps what it protects already."""
    before = denial("logs", ["elsewhere/"], ["arn:aws:iam::123456789012:user/gone"])
    policy = {"Version": "2012-10-17", "Id": "x", "Statement": [OTHERS, before]}
    put = json.loads(of("bucket policy", policy=policy).value)
    assert (put["Id"], put["Statement"][0]) == ("x", OTHERS)
    (ours,) = [one for one in put["Statement"] if one["Sid"] == DENIAL]
    assert ours == denial("logs", ["elsewhere/", ROOT], KEEPERS)


def test_rules_that_are_there_stay() -> None:
    """Ours comes in addition; uneven ones are for people."""
    other = {"ID": "o", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 1}}
    assert of("lifecycle rule", rules=[other]).value == [other, retention_rule(ROOT, 400)]
    uneven = {**other, "Filter": {"Prefix": f"{ROOT}CloudTrail/"}}
    assert of("lifecycle rule", rules=[uneven]).state == "by hand"


def test_what_a_server_does_not_have_is_no_fault() -> None:
    """And what could not be looked at is one."""
    assert of("versioning", refusals={"versioning": "NotImplemented"}).state == "unavailable"
    assert of("versioning", refusals={"versioning": "AccessDenied"}).state == "failed"


def test_an_organizations_trail_is_protected_as_a_whole() -> None:
    """Every member's log files; the rules are held against those of one account."""
    facts = BucketFacts("logs", (Root("AWSLogs/o-abcdefghij/", "AWSLogs/o-abcdefghij/123456789012/"),))
    found = {one.measure: one.value for one in measures_of_bucket(facts, KEEPERS, 400)}
    (statement,) = json.loads(found["bucket policy"])["Statement"]
    assert statement["Resource"] == ["arn:aws:s3:::logs/AWSLogs/o-abcdefghij/*"]
    assert found["lifecycle rule"] == [retention_rule("AWSLogs/o-abcdefghij/", 400)]


def test_validation_is_the_trails_own() -> None:
    """On or off."""
    assert measure_of_trail("t", is_validated=True).state == "ok"
    assert measure_of_trail("t", is_validated=False).state == "missing"
