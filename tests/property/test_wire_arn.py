"""ARNs: what is printed parses again, and what is no ARN is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.aws.arn import ARN_CHARS_MAX, Arn, parse_arn

ARNS = st.builds(
    Arn,
    partition=st.sampled_from(["aws", "aws-cn", "aws-us-gov"]),
    service=st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True),
    region=st.sampled_from(["", "us-east-1", "eu-central-1"]),
    account_id=st.from_regex(r"([0-9]{12})?", fullmatch=True),
    resource=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=60),
)


@given(ARNS)
def test_every_arn_survives_its_text(arn: Arn) -> None:
    """Printing and parsing an ARN gives the same ARN."""
    assert parse_arn(str(arn)) == arn


@given(st.text() | st.from_regex(r"arn(:[a-z0-9/-]*){0,7}", fullmatch=True))
def test_any_text_is_an_arn_or_a_value_error(text: str) -> None:
    """A text either parses and prints unchanged, or raises ValueError."""
    try:
        arn = parse_arn(text)
    except ValueError:
        return
    assert str(arn) == text


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("arn:aws:cloudtrail:us-east-1:123456789012:trail/audit", "trail", "audit"),
        ("arn:aws:opsworks-cm:us-east-1:123456789012:server/automate-06/0d1c", "server", "automate-06/0d1c"),
        ("arn:aws:s3:::bucket", "", "bucket"),
        ("arn:aws:sns:us-east-1:123456789012:topic", "", "topic"),
        ("arn:aws:lambda:us-east-1:123456789012:function:f:1", "function", "f:1"),
    ],
)
def test_resources_have_a_type_and_an_id(text: str, kind: str, name: str) -> None:
    """The resource is split at its first slash or colon."""
    assert (parse_arn(text).resource_type, parse_arn(text).resource_id) == (kind, name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "arn",
        "arn:aws:s3:::",
        "arn:aws::::x",
        "arn:gcp:s3:::x",
        "arn:aws:s3:::x\n",
        "urn:aws:s3:::x",
        "arn:aws:iam::12345:user/a",
        "arn:aws:s3:::" + "x" * ARN_CHARS_MAX,
    ],
)
def test_what_is_no_arn_is_refused(text: str) -> None:
    """Each missing or impossible part raises ValueError."""
    with pytest.raises(ValueError, match="not an ARN"):
        parse_arn(text)
