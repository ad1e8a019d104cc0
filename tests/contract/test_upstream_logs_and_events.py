"""How CloudWatch Logs and EventBridge are called, against a server that answers by the models."""

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from opentrail.app.event_bus import UpstreamEventBus
from opentrail.app.log_groups import UpstreamLogGroups
from opentrail.app.upstream_calls import UpstreamCalls
from opentrail.aws.model import Catalogue
from opentrail.clock import SystemClock
from opentrail.delivery.bus_entries import Entry
from opentrail.errors import ApiError, OutboundError
from opentrail.events.internal_calls import Announced, InternalCall
from opentrail.events.record import ServiceEvent
from opentrail.gateway.upstream import Upstream, UpstreamSettings
from opentrail.gateway.upstreams import ALL_OTHERS, Behind, Upstreams
from opentrail.identity.principal import Principal, PrincipalType
from opentrail.trails.log_groups import LogStream
from tests.support.model_upstream import ModelUpstream, running_model_upstream

ACCOUNT = "123456789012"
STREAM = LogStream(ACCOUNT, "eu-west-1", "CloudTrail/logs", f"{ACCOUNT}_CloudTrail_eu-west-1")
SESSION = Principal(PrincipalType.ASSUMED_ROLE, ACCOUNT)
ENTRY = Entry(1_000_000_000, "aws.s3", "AWS API Call via CloudTrail", b'{"eventName":"CreateBucket"}')


@dataclass
class Recorded:
    """The calls that were recorded."""

    made: list[InternalCall] = field(default_factory=list)

    def require(self) -> None:
        """Nothing keeps calls from being recorded."""

    def record(self, call: InternalCall, *, error: tuple[str, str] | None = None, bytes_in: int = 0) -> None:
        self.made.append(call)

    def intend(self, call: InternalCall) -> Announced:
        raise AssertionError("nothing is intended")

    def happened(self, event: ServiceEvent) -> None:
        raise AssertionError("no service event")


class World:
    """An upstream and the calls to it, with an event loop on a thread as the gateway has one."""

    def __init__(self, upstream: ModelUpstream) -> None:
        self.upstream = upstream
        self.loop = asyncio.new_event_loop()
        self.client = Upstream(UpstreamSettings(upstream.endpoint, "", "", "secret"), SystemClock())
        self.upstreams = Upstreams([Behind("behind", self.client, (ALL_OTHERS,))])
        self.calls = UpstreamCalls(self.upstreams, upstream.catalogue)
        self.calls.attach(self.loop)
        self.recorded = Recorded()
        self.groups = UpstreamLogGroups(self.calls, self.recorded)
        self.bus = UpstreamEventBus(self.calls)

    def answers(self, service: str, operation: str, result: Mapping[str, Any] | ApiError) -> None:
        """What the server says from now on."""
        self.upstream.results[service, operation] = result

    def asked(self) -> tuple[str, str, dict[str, Any]]:
        """The last request: its target, its credential scope and its parameters."""
        head, body = self.upstream.arrived[-1].head, self.upstream.arrived[-1].body
        scope = head.headers["authorization"].partition("Credential=")[2].partition(",")[0]
        return head.headers["x-amz-target"], scope, json.loads(body)


@pytest.fixture
def world() -> Iterator[World]:
    """A server that answers with empty results, where a test does not say otherwise."""
    with running_model_upstream(Catalogue()) as upstream:
        made = World(upstream)
        thread = threading.Thread(target=made.loop.run_forever, daemon=True)
        thread.start()
        yield made
        asyncio.run_coroutine_threadsafe(made.client.close(), made.loop).result(10)
        made.loop.call_soon_threadsafe(made.loop.stop)
        thread.join(10)
        made.loop.close()


def test_log_events_carry_the_records_own_text(world: World) -> None:
    """PutLogEvents in the group's region, as its account; no record is left."""
    world.groups.put(STREAM, [b'{"a":"\xc3\xa9"}', b"{}"], 1_700_000_000_123)
    target, scope, parameters = world.asked()
    assert target == "Logs_20140328.PutLogEvents"
    assert scope.startswith(f"{ACCOUNT}/") and scope.endswith("/eu-west-1/logs/aws4_request")
    assert parameters == {
        "logGroupName": STREAM.group,
        "logStreamName": STREAM.name,
        "logEvents": [
            {"timestamp": 1_700_000_000_123, "message": '{"a":"é"}'},
            {"timestamp": 1_700_000_000_123, "message": "{}"},
        ],
    }
    assert world.recorded.made == []


def test_events_that_are_refused_by_their_time_are_an_error(world: World) -> None:
    """The service answers 200 and keeps nothing."""
    world.answers("logs", "PutLogEvents", {"rejectedLogEventsInfo": {"tooNewLogEventStartIndex": 0}})
    with pytest.raises(OutboundError) as refused:
        world.groups.put(STREAM, [b"{}"], 1)
    assert refused.value.code == "RejectedLogEvents"


def test_a_stream_is_recorded_when_it_was_made(world: World) -> None:
    """Not where it was there already, nor where there is no group."""
    world.groups.create_stream(STREAM, SESSION)
    (made,) = world.recorded.made
    assert (made.event_name, made.on_behalf_of, made.region) == ("CreateLogStream", SESSION, "eu-west-1")
    world.answers("logs", "CreateLogStream", ApiError("ResourceAlreadyExistsException", "it exists"))
    world.groups.create_stream(STREAM, SESSION)
    world.answers("logs", "CreateLogStream", ApiError("ResourceNotFoundException", "no group"))
    with pytest.raises(OutboundError) as refused:
        world.groups.create_stream(STREAM, SESSION)
    assert refused.value.code == "ResourceNotFoundException"
    assert len(world.recorded.made) == 1


def test_entries_go_to_the_default_bus(world: World) -> None:
    """PutEvents names no bus; the time is in epoch seconds."""
    world.answers("events", "PutEvents", {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]})
    assert world.bus.put(ACCOUNT, "us-west-2", [ENTRY]) == []
    target, scope, parameters = world.asked()
    assert target == "AWSEvents.PutEvents"
    assert scope.startswith(f"{ACCOUNT}/") and scope.endswith("/us-west-2/events/aws4_request")
    assert parameters == {"Entries": [ENTRY.parameters()]}


def test_what_a_bus_says_of_an_entry_is_final_or_not(world: World) -> None:
    """A refused source is; throttling, or a code that nobody knows, is not, and is raised before what is."""
    refused = {"ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": "Not authorized for the source."}
    world.answers("events", "PutEvents", {"FailedEntryCount": 1, "Entries": [{"EventId": "1"}, refused]})
    assert world.bus.put(ACCOUNT, "us-west-2", [ENTRY, ENTRY]) == ["NotAuthorizedForSourceException"]
    for code in ("ThrottlingException", "InternalFailure", "Unheard"):
        world.answers("events", "PutEvents", {"FailedEntryCount": 2, "Entries": [refused, {"ErrorCode": code}]})
        with pytest.raises(OutboundError) as problem:
            world.bus.put(ACCOUNT, "us-west-2", [ENTRY, ENTRY])
        assert problem.value.code == code


def test_an_answer_without_results_is_an_error(world: World) -> None:
    """Nobody knows then what became of the entries."""
    with pytest.raises(OutboundError) as problem:
        world.bus.put(ACCOUNT, "us-west-2", [ENTRY])
    assert problem.value.code == "UnreadableAnswer"


def test_who_serves_log_groups_is_looked_up_each_time(world: World) -> None:
    """A reload may take the upstream away."""
    assert world.groups.is_served()
    world.upstreams.replace([])
    assert not world.groups.is_served()
    with pytest.raises(OutboundError) as problem:
        world.groups.put(STREAM, [b"{}"], 1)
    assert problem.value.code == "NotConfigured"
