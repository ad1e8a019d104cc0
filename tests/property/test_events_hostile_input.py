"""Whatever a client sends, its record is valid JSON within the limits."""

import json
import string
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.aws.http import RequestHead, TlsDetails
from opentrail.aws.model import Catalogue
from opentrail.events.call import Call, Outcome
from opentrail.events.encoding import TOO_DEEP, encode
from opentrail.events.limits import RECORD_BYTES_MAX, cut
from opentrail.events.record import KEY_ORDER, build
from opentrail.events.s3 import identify, locate
from opentrail.events.s3_documents import body_parameters
from opentrail.events.s3_elements import additional_event_data, request_parameters, resources
from opentrail.events.scrubbing import scrub
from opentrail.events.timestamps import event_time, iso_8601, us_medium, us_medium_comma
from opentrail.identity.principal import Principal, PrincipalType

AT = datetime(2026, 11, 23, tzinfo=UTC)
ANY = st.text(st.characters(exclude_categories=[]), max_size=30)
LONG = st.builds(lambda text, times: text * times, ANY, st.sampled_from([1, 1, 1, 100, 40_000]))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | ANY | st.binary(max_size=9) | st.just(AT)
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY, inner, max_size=3))
OPERATIONS = [
    Catalogue().service(service).operation(name)
    for service, name in (("opsworkscm", "CreateServer"), ("sts", "AssumeRole"), ("dynamodb", "DeleteItem"))
]


def parsed(record: bytes) -> dict[str, Any]:
    """The record as strict JSON without duplicate or misplaced keys."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        return dict(items)

    def constant(text: str) -> None:
        raise AssertionError(text)

    found: dict[str, Any] = json.loads(record.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant)
    assert list(found) == [key for key in KEY_ORDER if key in found]
    assert len(record) <= RECORD_BYTES_MAX
    return found


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_text_yields_valid_json(data: st.DataObject) -> None:
    """Control characters, lone surrogates and very long texts in any field yield one valid record within the limits."""

    def text() -> str:
        return str(data.draw(LONG))

    operation = data.draw(st.sampled_from([None, *OPERATIONS]))
    call = Call(
        request_id=text(),
        received_at=AT,
        account_id="123456789012",
        region=text(),
        principal=Principal(data.draw(st.sampled_from(PrincipalType)), text(), text(), text(), text(), text()),
        event_source=text(),
        event_name=text(),
        read_only=False,
        operation=operation,
        parameters=data.draw(st.dictionaries(ANY, TREES, max_size=4)),
        source_ip=text(),
        user_agent=text(),
        host=text(),
        tls=TlsDetails(text(), text()),
    )
    outcome = Outcome(
        completed_at=AT,
        response=data.draw(st.dictionaries(ANY, TREES, max_size=4)),
        error_code=data.draw(st.none() | LONG),
        error_message=data.draw(st.none() | LONG),
        additional_event_data=data.draw(st.none() | st.dictionaries(ANY, TREES, max_size=3)),
        resources=tuple(data.draw(st.lists(st.dictionaries(ANY, ANY, max_size=3), max_size=3))),
    )
    found = parsed(build(call, outcome, event_id="e", recipient_account_id="123456789012"))
    for key in ("eventName", "awsRegion", "sourceIPAddress", "userAgent", "requestID", "errorCode", "errorMessage"):
        assert len(found.get(key, "").encode()) <= 1024


@given(value=st.dictionaries(ANY, TREES, max_size=5))
def test_encoding_never_fails(value: dict[str, Any]) -> None:
    """Every tree of values has a JSON text."""
    json.loads(encode(value))


def test_nesting_without_end_is_cut_visibly() -> None:
    """Nesting that the encoder refuses ends in a stub that says so, through the model and without it."""
    deep: Any = "x"
    for _ in range(5000):
        deep = {"L": [deep]}
    assert json.loads(encode(TOO_DEEP))["omitted"] is True
    assert b'"nested too deeply"' in encode(deep)
    call = Call(
        request_id="r",
        received_at=AT,
        account_id="1",
        region="r",
        principal=Principal(PrincipalType.ROOT, "1"),
        event_source="dynamodb.amazonaws.com",
        event_name="DeleteItem",
        read_only=False,
        operation=OPERATIONS[2],
        parameters={"TableName": "t", "Key": {"a": deep}},
    )
    found = parsed(build(call, Outcome(completed_at=AT), event_id="e", recipient_account_id="1"))
    assert "nested too deeply" in json.dumps(found["requestParameters"])


@given(text=LONG)
def test_cutting_keeps_a_beginning(text: str) -> None:
    """A cut text is at most 1 KB; valid text keeps its beginning."""
    short = cut(text)
    if len(text) > 256:
        assert len(short.encode()) <= 1024
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert text.startswith(short)


@given(message=ANY, secret=st.text(min_size=8, max_size=60), before=ANY, length=st.integers(min_value=8))
def test_scrubbing_removes_any_beginning_of_a_secret(message: str, secret: str, before: str, length: int) -> None:
    """A secret of eight characters or more, whole or cut short, is not in the message afterwards."""
    secret = "S€cret00" + secret
    scrubbed = scrub(f"{before}{secret[:length]} {message}", [secret])
    assert secret[:8] not in scrubbed


@given(moment=st.datetimes(timezones=st.just(UTC) | st.just(timezone(timedelta(hours=-5)))))
def test_times_have_a_text_for_every_year(moment: datetime) -> None:
    """All forms write any instant, in UTC, without leading zeros in day and hour."""
    try:
        at = moment.astimezone(UTC)
    except OverflowError:
        return
    assert event_time(moment) == at.strftime("%Y").zfill(4) + at.strftime("-%m-%dT%H:%M:%SZ")
    assert iso_8601(moment)[:19] == event_time(moment)[:19]
    assert us_medium_comma(moment).replace(", ", " ") == us_medium(moment).replace(", ", " ")
    assert datetime.strptime(
        us_medium(moment).replace(f" {at.year} ", f" {at.year:04} "), "%b %d, %Y %I:%M:%S %p"
    ).replace(tzinfo=UTC) == at.replace(microsecond=0)


PATHS = st.text(st.sampled_from("/ab%2F.~\x00\xff?&"), max_size=12)
QUERIES = st.text(st.sampled_from("&=;+%acl2Fpolicyuploads-"), max_size=24) | st.sampled_from(
    [
        "acl",
        "list-type=2",
        "uploadId=1&partNumber=2",
        "versionId=1",
        "acl&policy",
        "id=1&analytics",
        "select&select-type=2",
    ]
)
METHODS = st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH", "", "get"])
HOSTS = st.text(st.sampled_from("ab.s3-localhost:[]amazonaws.com"), max_size=40) | st.sampled_from(
    ["b.s3.amazonaws.com", "localhost:1", "x.localhost", "[::1]:80", ""]
)


@given(method=METHODS | ANY, host=HOSTS | ANY, path=PATHS | ANY, query=QUERIES | ANY, copy=st.none() | ANY)
@settings(max_examples=400, deadline=None)
def test_naming_s3_requests_never_fails(method: str, host: str, path: str, query: str, copy: str | None) -> None:
    """Any request has a name or a reason why not, and what its record says of it can be written."""
    headers = {"host": host} | ({} if copy is None else {"x-amz-copy-source": copy})
    head = RequestHead(method, path, query, headers)
    location = locate(host, path, ("localhost",))
    call = identify(method, location, query, headers)
    assert bool(call.operation) != bool(call.unsupported)
    assert bool(call.iam_action) or call.event_name in {"PreflightRequest", "UnsupportedOperation"}
    shown = request_parameters(call, head, body=body_parameters(call, query.encode("utf-8", "replace")))
    json.loads(encode([shown, resources(call, None), additional_event_data(authentication=None)]))
    if call.bucket:
        assert shown["bucketName"] == call.bucket


@given(body=st.recursive(ANY, lambda inner: st.lists(inner, max_size=3), max_leaves=9) | st.binary(max_size=40))
def test_reading_bodies_never_fails(body: Any) -> None:
    """Any XML, and anything that is none, adds something that can be written, or nothing."""
    call = identify("PUT", locate("", "/b"), "tagging", {})
    shown = body_parameters(call, body if isinstance(body, bytes) else _xml(body).encode("utf-8", "replace"))
    json.loads(encode(shown))


def _xml(value: Any) -> str:
    inner = value if isinstance(value, str) else "".join(map(_xml, value))
    return f"<a><b c='1'>{inner}</b></a>"


@given(
    name=st.text(string.ascii_letters + "-", max_size=10).map(lambda tail: "X-Amz-Signature" + tail)
    | st.sampled_from(["X-Amz-Credential", "x-amz-security-token", "Signature", "AWSAccessKeyId"]),
    value=st.text(string.ascii_letters, min_size=12),
)
def test_signatures_and_credentials_are_never_recorded(name: str, value: str) -> None:
    """No way of writing the names of presigned addresses gets a signature or credential into the record."""
    for spelling in (name, name.lower(), name.upper(), "%58" + name[1:] if name[0] == "X" else name):
        head = RequestHead("GET", "/b/k", f"{spelling}={value}", {})
        call = identify("GET", locate("", "/b/k"), head.query, {})
        assert value not in str(request_parameters(call, head))
