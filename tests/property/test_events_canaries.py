"""No secret in the evidence: a canary in every secret place of every operation is found in no record.

Secret is what the model marks and what ``redaction.toml`` names. In CI: every service that the table names, and of the
others the tenth that the version of botocore picks; all of them in the soak.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path

import botocore
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opentrail.aws.model import Catalogue, Operation
from opentrail.events.call import Call, Outcome
from opentrail.events.elements import request_elements, response_elements, secrets_in
from opentrail.events.encoding import encode
from opentrail.events.record import build
from opentrail.events.redaction import REDACTIONS, redaction_of
from opentrail.events.scrubbing import scrub
from tests.support.canaries import ACCOUNT, AT, NEIGHBOUR, Filler, call_of, failure, filled, leaks_in

OWN_MODELS = Path(__file__).parents[2] / "src" / "opentrail" / "services" / "opentrail" / "model"
CATALOGUE = Catalogue([OWN_MODELS])
OMITTED = b'"omitted":true'


Lines = set[tuple[str, str]]


def is_sampled(service: str) -> bool:
    """Whether CI looks at a service: always where the table names it, else one in ten, by turns of botocore."""
    return (
        service == "opentrail"
        or CATALOGUE.service(service).event_source in REDACTIONS
        or (zlib.crc32(service.encode()) + zlib.crc32(botocore.__version__.encode())) % 10 == 0
    )


SAMPLE: dict[str, list[str]] = {}
for _name in filter(is_sampled, CATALOGUE.names):
    SAMPLE.setdefault(CATALOGUE.service(_name).event_source, []).append(_name)


def check(operation: Operation, tail: str | None = None) -> tuple[int, Lines]:
    """Hold an operation's records against its canaries: of a success, and of failures that repeat the request.

    Beside the record stands what it would show without the limit of its size, which otherwise hides much. Tells how
    many canaries there were, and the members that held them.
    """
    parameters, asked = filled(operation.input_shape, operation, tail)
    response, answered = filled(operation.output_shape, operation, tail)
    call = call_of(operation, parameters)
    success = build(call, Outcome(completed_at=AT, response=response), event_id="e", recipient_account_id=ACCOUNT)
    request = encode(request_elements(operation, parameters))
    for shown in (success, request, encode(response_elements(operation, response))):
        assert not leaks_in(shown), operation
    if asked.neighbours:
        assert NEIGHBOUR.encode() in request, operation
        assert NEIGHBOUR.encode() in success or OMITTED in success, operation
    if asked.canaries:
        check_messages(call, asked)
    return len(asked.canaries) + len(answered.canaries), asked.secret_members | answered.secret_members


def check_messages(call: Call, asked: Filler) -> None:
    """Every canary in every form, in messages: the first in a record, all through what records are made with."""
    assert call.operation is not None
    secrets = secrets_in(call.operation, call.parameters or {})
    for count, message in enumerate(asked.echoes()):
        shown = scrub(message, secrets).encode("utf-8", "replace")
        if count == 0:
            record = build(call, failure(message), event_id="e", recipient_account_id=ACCOUNT)
            shown += record.partition(b'"requestParameters"')[0]
            assert not leaks_in(record), (call.event_name, message)
        assert not leaks_in(shown), (call.event_name, message)
        assert shown.count(NEIGHBOUR.encode()) == message.count(NEIGHBOUR) * (2 if count == 0 else 1), call.event_name


def operations_of(*services: str) -> Iterator[Operation]:
    """Every operation of the services."""
    for modelled in map(CATALOGUE.service, services):
        yield from map(modelled.operation, modelled.operation_names)


@pytest.mark.parametrize("event_source", SAMPLE)
def test_no_operation_leaks_a_secret(event_source: str) -> None:
    """Every operation, with a canary in every secret place, leaves none in its records; every line of the table has
    its turn."""
    had: Lines = set()
    for operation in operations_of(*SAMPLE[event_source]):
        had |= check(operation)[1]
    assert set(redaction_of(event_source).members) <= had


@pytest.mark.soak
def test_no_operation_of_any_service_leaks_a_secret() -> None:
    """All services: what CI looks at in turns, and how much that is."""
    operations = canaries = members = 0
    for service in CATALOGUE.names:
        had: Lines = set()
        for operation in operations_of(service):
            count, found = check(operation)
            operations, canaries, had = operations + 1, canaries + count, had | found
        members += len(had)
    print(f"{len(CATALOGUE.names)} services, {operations} operations, {members} secret members, {canaries} canaries")
    assert operations > 15_000
    assert members > 5_000


LEAKY = [
    ("opsworkscm", "CreateServer"),
    ("opsworkscm", "UpdateServerEngineAttributes"),
    ("sts", "AssumeRole"),
    ("iam", "CreateLoginProfile"),
    ("cognito-idp", "InitiateAuth"),
    ("glue", "CreateConnection"),
    ("secretsmanager", "PutSecretValue"),
    ("sns", "Publish"),
    ("dynamodb", "PutItem"),
]


@pytest.mark.parametrize(("service", "name"), LEAKY)
@given(tail=st.text(max_size=40))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_secret_leaks_whatever_it_consists_of(service: str, name: str, tail: str) -> None:
    """Quotes, line breaks, control characters and anything else in a secret do not help it into the record."""
    assert check(CATALOGUE.service(service).operation(name), tail)[0] > 0
