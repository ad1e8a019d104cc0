"""No secret in the evidence: a canary in every sensitive member of every operation is found in no record."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opentrail.aws.model import Catalogue, Operation
from opentrail.events.call import Call, Outcome
from opentrail.events.record import build
from opentrail.events.redaction import redacted_members
from opentrail.identity.principal import Principal, PrincipalType

AT = datetime(2026, 11, 23, tzinfo=UTC)
ACCOUNT = "123456789012"
USER = Principal(PrincipalType.IAM_USER, account_id=ACCOUNT, principal_id="AIDA", arn="a", user_name="u")
MARK = "CANARY0x5eed"
DEPTH_MAX = 6
OWN_MODELS = Path(__file__).parents[2] / "src" / "opentrail" / "services" / "opentrail" / "model"


class Filler:
    """Makes parameters in which every secret member holds a canary, and remembers the canaries."""

    def __init__(self, also: frozenset[tuple[str, str]], tail: str) -> None:
        self._also = also
        self._tail = tail
        self.canaries: list[str] = []
        self.echoes: list[str] = []

    def value(self, shape: Shape, *, secret: bool = False, depth: int = 0) -> Any:
        """A value of the shape; below a secret everything is secret."""
        secret = secret or bool(shape.metadata.get("sensitive"))
        if isinstance(shape, StructureShape):
            if depth > DEPTH_MAX:
                return {}
            return {
                name: self.value(member, secret=secret or (shape.name, name) in self._also, depth=depth + 1)
                for name, member in shape.members.items()
            }
        if isinstance(shape, ListShape):
            return [self.value(shape.member, secret=secret, depth=depth + 1)] if depth <= DEPTH_MAX else []
        if isinstance(shape, MapShape):
            if depth > DEPTH_MAX:
                return {}
            key = self.value(shape.key, secret=secret, depth=depth + 1)
            return {key: self.value(shape.value, secret=secret, depth=depth + 1)}
        return self._scalar(shape, secret)

    def _scalar(self, shape: Shape, secret: bool) -> Any:
        if shape.type_name == "timestamp":
            return AT
        if shape.type_name == "boolean":
            return True
        if shape.type_name in {"integer", "long"}:
            return 5
        if shape.type_name in {"float", "double"}:
            return 0.5
        text = self._canary() if secret else "plain"
        if shape.type_name != "blob":
            return text
        blob = text.encode("utf-8", "replace")
        if secret:
            # Binary values travel as base64, and a message may repeat them in that form.
            self.echoes.append(base64.b64encode(blob).decode())
        return blob

    def _canary(self) -> str:
        self.canaries.append(f"{MARK}{len(self.canaries)}{self._tail}")
        self.echoes.append(self.canaries[-1])
        return self.canaries[-1]


def texts_in(value: Any) -> Iterator[str]:
    """Every text in a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)


def catalogue() -> Catalogue:
    """The models, ours included where they are in the tree."""
    return Catalogue([OWN_MODELS] if OWN_MODELS.is_dir() else [])


CATALOGUE = catalogue()
OURS = ["opentrail"] if "opentrail" in CATALOGUE.names else []
SERVICES = ["opsworkscm", "sts", "kms", "iam", "secretsmanager", "cloudtrail", "ssm", "sns", "sqs", "dynamodb", *OURS]


def records_of(operation: Operation, tail: str) -> Iterator[tuple[bytes, list[str]]]:
    """The records of a success and of a failure whose message echoes every secret, with the canaries used."""
    source = operation.service.event_source
    filler = Filler(redacted_members().get(source, frozenset()), tail)
    parameters = filler.value(operation.input_shape) if operation.input_shape is not None else {}
    echo = " / ".join(filler.echoes)
    response = filler.value(operation.output_shape) if operation.output_shape is not None else {}
    for outcome in (
        Outcome(completed_at=AT, response=response),
        Outcome(completed_at=AT, error_code="ValidationException", error_message=echo),
        Outcome(completed_at=AT, error_code="ValidationException", error_message=echo[:60]),
    ):
        call = Call(
            request_id="r",
            received_at=AT,
            account_id=ACCOUNT,
            region="us-east-1",
            principal=USER,
            event_source=source,
            event_name=operation.name,
            read_only=False,
            operation=operation,
            parameters=parameters,
        )
        yield build(call, outcome, event_id="e", recipient_account_id=ACCOUNT), filler.canaries


def assert_silent(record: bytes) -> None:
    """Neither the mark nor its base64 form is anywhere in the record."""
    coded = base64.b64encode(MARK.encode()).decode()[:14]
    for text in texts_in(json.loads(record)):
        assert MARK not in text
        assert coded not in text


@pytest.mark.parametrize("service", SERVICES)
def test_no_operation_leaks_a_sensitive_member(service: str) -> None:
    """Every operation of the service, with a canary in every sensitive member, leaves no canary in its record."""
    seen = 0
    modelled = CATALOGUE.service(service)
    for name in modelled.operation_names:
        for record, canaries in records_of(modelled.operation(name), "-tail"):
            seen += len(canaries)
            assert_silent(record)
    assert seen > 0 or service in {"cloudtrail", "dynamodb"}


LEAKY = [
    ("opsworkscm", "CreateServer"),
    ("opsworkscm", "UpdateServerEngineAttributes"),
    ("sts", "AssumeRole"),
    ("iam", "CreateLoginProfile"),
    ("kms", "Decrypt"),
    ("secretsmanager", "PutSecretValue"),
    ("sns", "Publish"),
]


@pytest.mark.parametrize(("service", "name"), LEAKY)
@given(tail=st.text(max_size=40))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_secret_leaks_whatever_it_consists_of(service: str, name: str, tail: str) -> None:
    """Quotes, line breaks, control characters and anything else in a secret do not help it into the record."""
    for record, canaries in records_of(CATALOGUE.service(service).operation(name), tail):
        assert canaries
        assert_silent(record)


def test_values_that_are_not_secret_are_shown() -> None:
    """The canary test would pass on empty records: this one holds that the rest of a request is there."""
    for record, _ in records_of(CATALOGUE.service("opsworkscm").operation("CreateServer"), ""):
        shown = json.loads(record)["requestParameters"]
        assert shown["serverName"] == shown["customCertificate"] == "plain"
        assert shown["engineAttributes"] == [{"name": "plain", "value": "*** Redacted ***"}]
        assert shown["customPrivateKey"] == "*** Redacted ***"
