"""One HTTP exchange as the gateway's parts see it, whatever server runs underneath."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from opentrail.aws.http import RequestHead
from opentrail.aws.sigv4 import Authorization, SigningKey
from opentrail.events.call import Call, Outcome
from opentrail.identity.principal import Principal


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request whose head has arrived; the body is still to be read, once, in pieces of the server's choosing.

    ``socket_address`` is whom the connection is with, whatever headers say, empty where that is not known;
    ``local_port`` is the port of ours that it came to.
    """

    head: RequestHead
    body: AsyncIterator[bytes]
    request_id: str
    received_at: datetime
    socket_address: str = ""
    local_port: int = 0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An answer: its head, and a body that is either whole or still arriving.

    Header names are lower case. The server adapter closes a streamed body (``aclose``), also when the client left.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] = b""


CUT = Outgoing(0)
"""No answer at all: the connection is closed without a status, because the truth cannot be recorded."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller: who, and what the signature said. Anonymous callers have neither of the last two."""

    principal: Principal
    authorization: Authorization | None = None
    signing_key: SigningKey | None = None


class Intended(Protocol):
    """A call that may change something at an upstream, and whose intent is on disk; only its recorder looks inside."""


class Recorder(Protocol):
    """The way to evidence; returns only when the record is on disk."""

    async def record(self, call: Call, outcome: Outcome, *, also_for: tuple[str, ...] = ()) -> None:
        """Make the event record of a call durable, with copies for further accounts (a resource's owner).

        Raises JournalError where it cannot be written: the caller then answers 503 and nothing else.
        """

    async def intend(
        self, call: Call, *, resources: tuple[Mapping[str, str], ...] = (), also_for: tuple[str, ...] = ()
    ) -> Intended:
        """Make it durable that a call is about to be sent on, with room for its outcome.

        Raises JournalError where that cannot be: then nothing may be sent.
        """

    async def conclude(self, intended: Intended, call: Call, outcome: Outcome) -> None:
        """Make the event record of an intended call durable, once. Raises JournalError where it cannot be written: then
        nothing may be answered, and the record that says so is made at the next start.
        """
