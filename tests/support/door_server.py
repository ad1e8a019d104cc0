"""The S3 door on a real socket, under the real server adapter and admission, in front of a real SeaweedFS.

What stands in: the recorder, which keeps what it was told in a list, and the identities, which are a fixed few.
"""

import asyncio
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import boto3
from botocore.config import Config

from opentrail.clock import SystemClock, SystemEntropy
from opentrail.errors import ApiError, JournalError
from opentrail.events.call import Call, Outcome
from opentrail.gateway.admit import Admission, Dialect, Refusal
from opentrail.gateway.asgi import Application, server
from opentrail.gateway.exchange import Caller, Incoming, Intended, Outgoing
from opentrail.gateway.s3_door import S3Door
from opentrail.gateway.upstream import Upstream, UpstreamSettings
from opentrail.identity.authorization import NO_POLICIES, PolicySet
from opentrail.identity.buckets import Buckets
from opentrail.identity.context import Values, principal_context
from opentrail.identity.principal import Principal, PrincipalType
from opentrail.identity.session_tokens import OpenedSession, TokenProblem, TokenProblemKind
from opentrail.identity.store import Credential
from opentrail.state.database import Database

ACCOUNT_A, ACCOUNT_B = "111111111111", "222222222222"


def root(account_id: str) -> Principal:
    """An account's root."""
    arn = f"arn:aws:iam::{account_id}:root"
    return Principal(PrincipalType.ROOT, account_id, account_id, arn, f"AKIAROOT{account_id}")


def user(account_id: str, name: str) -> Principal:
    """An IAM user of an account."""
    arn = f"arn:aws:iam::{account_id}:user/{name}"
    key_id = f"AKIAUSER{name.upper()}{account_id}"
    return Principal(PrincipalType.IAM_USER, account_id, f"AIDA{name.upper()}", arn, key_id, name)


A, B = root(ACCOUNT_A), root(ACCOUNT_B)
A_USER, B_USER = user(ACCOUNT_A, "ada"), user(ACCOUNT_B, "bob")
CALLERS = (A, B, A_USER, B_USER)


def secret_of(principal: Principal) -> str:
    """The secret that belongs to a caller's access key."""
    return f"secret-of-{principal.access_key_id}"


class FixedIdentities:
    """Access keys that never change; roots may do everything in their account, users what a bucket's policy says."""

    def credential(self, access_key_id: str) -> Credential | None:
        """The key of that id."""
        for principal in CALLERS:
            if principal.access_key_id == access_key_id:
                return Credential(access_key_id, secret_of(principal), principal)
        return None

    def is_alive(self, principal: Principal) -> bool:
        """Nobody is ever deleted."""
        return True

    def account_alias(self, account_id: str) -> str | None:
        """No account has one."""
        return None

    def policies_of(self, principal: Principal) -> PolicySet:
        """Nobody has policies of his own; roots need none."""
        return NO_POLICIES

    def context_of(self, principal: Principal) -> Values:
        """Nobody has tags or an organization."""
        return principal_context(principal)


class NoTokens:
    """No session was ever begun."""

    def open(self, token: str, access_key_id: str, now: datetime) -> OpenedSession:
        """Refuse every token."""
        raise TokenProblem(TokenProblemKind.INVALID)


@dataclass
class Recorded:
    """One record that was asked for."""

    call: Call
    outcome: Outcome
    also_for: tuple[str, ...]


@dataclass(frozen=True)
class _Noted:
    """An intent."""

    also_for: tuple[str, ...]


@dataclass
class ListingRecorder:
    """A recorder that remembers; ``failing`` makes it refuse like a journal that cannot be written, ``losing`` only
    what concludes an intent.
    """

    records: list[Recorded] = field(default_factory=list)
    intents: list[str] = field(default_factory=list)
    failing: bool = False
    losing: bool = False

    async def record(self, call: Call, outcome: Outcome, *, also_for: tuple[str, ...] = ()) -> None:
        """Remember a record."""
        if self.failing:
            raise JournalError("the disk is full")
        self.records.append(Recorded(call, outcome, also_for))

    async def intend(
        self, call: Call, *, resources: tuple[Mapping[str, str], ...] = (), also_for: tuple[str, ...] = ()
    ) -> Intended:
        """Remember an intent, which is the recipients that the record will have."""
        if self.failing:
            raise JournalError("the disk is full")
        self.intents.append(call.event_name)
        return _Noted(also_for)

    async def conclude(self, intended: Intended, call: Call, outcome: Outcome) -> None:
        """Remember the record of an intended call."""
        assert isinstance(intended, _Noted)
        if self.losing:
            raise JournalError("the disk is gone")
        await self.record(call, outcome, also_for=intended.also_for)

    def names(self) -> list[str]:
        """The event names, in order."""
        return [record.call.event_name for record in self.records]


class DoorHandler:
    """The pipeline's S3 branch and nothing else."""

    def __init__(self, door: S3Door, admission: Admission) -> None:
        self._door = door
        self._admission = admission

    async def handle(self, incoming: Incoming) -> Outgoing:
        """Authenticate, then hand to the door."""
        try:
            claim = self._admission.claim(incoming.head, Dialect.S3)
            caller = self._admission.admit(incoming.head, claim, None, Dialect.S3)
        except Refusal as error:
            return await self._door.refuse(incoming, error, Caller(error.owner) if error.owner else None)
        except ApiError as error:
            return await self._door.refuse(incoming, error, None)
        return await self._door.handle(incoming, caller)


@dataclass
class DoorServer:
    """A running door."""

    port: int
    recorder: ListingRecorder
    buckets: Buckets
    database: Database
    upstream: Upstream

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, principal: Principal, **options: Any) -> Any:
        """A boto3 client that signs as a caller; no retries, so that every refusal is seen once."""
        config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}).merge(Config(**options))
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=principal.access_key_id,
            aws_secret_access_key=secret_of(principal),
            config=config,
        )


def door_of(
    upstream: Upstream,
    buckets: Buckets,
    database: Database,
    recorder: ListingRecorder,
    *,
    default_owner: str | None = None,
) -> S3Door:
    """A door in front of an upstream, for the fixed identities."""
    return S3Door(
        upstream,
        buckets,
        database,
        recorder,
        SystemClock(),
        SystemEntropy(),
        directory=FixedIdentities(),
        region="us-east-1",
        default_owner=default_owner,
        base_hosts=("localhost",),
    )


@contextmanager
def running_door(settings: UpstreamSettings, *, default_owner: str | None = None) -> Iterator[DoorServer]:
    """Run the door on a free port in a thread of its own until the block ends."""
    clock, entropy, database = SystemClock(), SystemEntropy(), Database(None)
    database.create_tables()
    buckets, recorder, upstream = Buckets(database), ListingRecorder(), Upstream(settings, clock)
    identities = FixedIdentities()
    door = door_of(upstream, buckets, database, recorder, default_owner=default_owner)
    admission = Admission(identities, NoTokens(), clock, entropy, base_hosts=("localhost",))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        ready = threading.Event()
        serving = server(Application(DoorHandler(door, admission), clock, entropy), None, ready.set)

        async def serve() -> None:
            await serving.serve([listening])
            await upstream.close()

        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        assert ready.wait(10)
        try:
            yield DoorServer(listening.getsockname()[1], recorder, buckets, database, upstream)
        finally:
            serving.should_exit = True
            thread.join(20)
