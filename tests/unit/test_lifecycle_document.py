"""Lifecycle configurations: what is read, what is refused with which error, and that they come back as they were."""

from datetime import UTC, datetime

import pytest

from opentrail.errors import ApiError
from opentrail.lifecycle.document import MAX_RULES, read_configuration, write_configuration
from opentrail.lifecycle.rules import Filter, Rule

_DAYS = "<Expiration><Days>30</Days></Expiration>"


def configuration(*rules: str) -> bytes:
    """A document of rules, as clients send it."""
    inside = "".join(f"<Rule>{rule}</Rule>" for rule in rules)
    return f'<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{inside}</LifecycleConfiguration>'.encode()


def rule(actions: str = _DAYS, *, taken: str = "<Filter><Prefix>AWSLogs/</Prefix></Filter>", status: str = "Enabled",
         rule_id: str = "r") -> str:  # fmt: skip
    """One rule's members."""
    return f"<ID>{rule_id}</ID>{taken}<Status>{status}</Status>{actions}"


_FULL = rule(
    "<Expiration><Date>2026-01-01T00:00:00Z</Date></Expiration>"
    "<NoncurrentVersionExpiration><NewerNoncurrentVersions>2</NewerNoncurrentVersions>"
    "<NoncurrentDays>7</NoncurrentDays></NoncurrentVersionExpiration>",
    taken="<Filter><And><Prefix>a&amp;b/</Prefix><Tag><Key>k</Key><Value></Value></Tag><Tag><Key>l</Key><Value>v</Value>"
    "</Tag><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan><ObjectSizeLessThan>9</ObjectSizeLessThan></And></Filter>",
    status="Disabled",
    rule_id="full",
)


def test_every_member_is_read() -> None:
    """A rule with everything that fits together."""
    (found,) = read_configuration(configuration(_FULL))
    assert found == Rule(
        "full",
        enabled=False,
        filter=Filter("a&b/", (("k", ""), ("l", "v")), 5, 9),
        date=datetime(2026, 1, 1, tzinfo=UTC),
        noncurrent_days=7,
        newer_noncurrent=2,
    )


@pytest.mark.parametrize(
    "text",
    [
        _FULL,
        rule(),
        rule(taken="<Prefix>x</Prefix>"),
        rule(taken="<Filter/>"),
        rule(taken="<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>"),
        rule("<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"),
        rule("<Expiration><ExpiredObjectDeleteMarker>false</ExpiredObjectDeleteMarker></Expiration>"),
        rule("<AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>"),
    ],
)  # fmt: skip
def test_what_is_written_reads_as_the_same_rules(text: str) -> None:
    """So a configuration may be kept as we write it."""
    rules = read_configuration(configuration(text))
    assert read_configuration(write_configuration(rules)) == rules


def test_rules_without_ids_get_different_ones() -> None:
    """S3 makes some up, too."""
    text = f"<Filter/><Status>Enabled</Status>{_DAYS}"
    assert [one.rule_id for one in read_configuration(configuration(text, text), "id")] == ["id-1", "id-2"]


_TAG = "<Tag><Key>k</Key><Value>v</Value></Tag>"
_ABORT = "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (rule("<Expiration><Days>0</Days></Expiration>"), "InvalidArgument"),
        (rule("<Expiration><Days>-1</Days></Expiration>"), "InvalidArgument"),
        (rule("<Expiration><Days>2147483648</Days></Expiration>"), "InvalidArgument"),
        (rule("<Expiration><Date>2026-01-01T05:00:00Z</Date></Expiration>"), "InvalidArgument"),
        (rule("<Expiration><Date>2026-01-01T00:00:00+01:00</Date></Expiration>"), "InvalidArgument"),
        (rule("<Expiration><Date>soon</Date></Expiration>"), "MalformedXML"),
        (rule("<Expiration><Days>1</Days><Date>2026-01-01T00:00:00Z</Date></Expiration>"), "MalformedXML"),
        (rule("<Expiration></Expiration>"), "MalformedXML"),
        (rule(_DAYS + _DAYS), "MalformedXML"),
        (rule(""), "InvalidRequest"),
        (rule(status="On"), "MalformedXML"),
        (rule(taken=""), "MalformedXML"),
        (rule(taken="<Prefix>a</Prefix><Filter/>"), "MalformedXML"),
        (rule(taken=f"<Filter><Prefix>a</Prefix>{_TAG}</Filter>"), "MalformedXML"),
        (rule(taken="<Filter><And><Prefix>a</Prefix></And></Filter>"), "MalformedXML"),
        (rule(taken=f"<Filter><And>{_TAG}{_TAG}</And></Filter>"), "InvalidRequest"),
        (rule(taken="<Filter><Owner>me</Owner></Filter>"), "MalformedXML"),
        (rule(rule_id="x" * 256), "InvalidArgument"),
        (rule(_ABORT, taken=f"<Filter>{_TAG}</Filter>"), "InvalidRequest"),
        (rule(_ABORT, taken="<Filter><ObjectSizeLessThan>9</ObjectSizeLessThan></Filter>"), "InvalidRequest"),
        (rule("<NoncurrentVersionExpiration/>"), "MalformedXML"),
        (rule("<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>"), "NotImplemented"),
        (rule(_DAYS + "<NoncurrentVersionTransition/>"), "NotImplemented"),
        (rule(_DAYS + "<Surprise/>"), "MalformedXML"),
    ],
)
def test_what_s3_refuses_is_refused(text: str, code: str) -> None:
    """Nothing is dropped or guessed."""
    with pytest.raises(ApiError) as refused:
        read_configuration(configuration(text))
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MalformedXML"),
        (b"<LifecycleConfiguration/>", "MalformedXML"),
        (b"<Other/>", "MalformedXML"),
        (b"<LifecycleConfiguration><Regel/></LifecycleConfiguration>", "MalformedXML"),
        (configuration(rule(), rule()), "InvalidArgument"),
        (configuration(*(rule(rule_id=f"r{n}") for n in range(MAX_RULES + 1))), "InvalidRequest"),
    ],
)
def test_documents_that_are_none_are_refused(body: bytes, code: str) -> None:
    """The document as a whole: its root, its rules, their ids and number."""
    with pytest.raises(ApiError) as refused:
        read_configuration(body)
    assert refused.value.code == code
