"""From a finished call to durable evidence: one draft per recipient, routed, in one atomic group.

A call that may change something at an upstream leaves its evidence in two steps: the intent before it is sent on, and
the record with its outcome under the same event ids. Routes and recipients are those of the intent.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from opentrail.clock import Clock, Entropy
from opentrail.errors import NoRoomError
from opentrail.events import record
from opentrail.events.call import Call, Outcome
from opentrail.events.unknown_outcome import unknown_outcome
from opentrail.gateway.exchange import Intended
from opentrail.journal.frames import Draft
from opentrail.journal.journal import Journal
from opentrail.journal.reservations import Intent

Router = Callable[[Call, Outcome, str], tuple[str, ...]]
"""Which trails take a call's record, for one recipient account."""

Count = Callable[[Call, Outcome], None]
"""Told of every call, once, as its record is made."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """The records that stand in an intent, which those of the outcome replace one by one."""

    drafts: Sequence[Draft]
    recipients: Sequence[str]
    shared_event_id: str | None


@dataclass(frozen=True, slots=True)
class _Announced:
    """An intent on disk."""

    intent: Intent
    prepared: _Prepared


class Recording:
    """Makes event records and puts them into the journal."""

    def __init__(
        self, journal: Journal, clock: Clock, entropy: Entropy, router: Router, *, count: Count = lambda *_: None
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._entropy = entropy
        self._router = router
        self._count = count

    async def record(self, call: Call, outcome: Outcome, *, also_for: tuple[str, ...] = ()) -> None:
        """Make a call's record durable. Raises JournalError where it cannot be."""
        await self.write(self.drafts(call, outcome, also_for=also_for))

    async def write(self, drafts: Sequence[Draft]) -> None:
        """Make records durable that ``drafts`` prepared; nothing to do where no account is concerned."""
        if drafts:
            await self._journal.write(drafts)

    async def intend(
        self, call: Call, *, resources: tuple[Mapping[str, str], ...] = (), also_for: tuple[str, ...] = ()
    ) -> Intended:
        """Make it durable that a call is about to be sent on, with room for its outcome. Raises JournalError."""
        prepared = self._announcement(call, resources, also_for)
        return _Announced(await self._journal.intend(prepared.drafts), prepared)

    def intend_blocking(self, call: Call, *, resources: tuple[Mapping[str, str], ...] = ()) -> Intended:
        """``intend`` for threads."""
        prepared = self._announcement(call, resources, ())
        return _Announced(self._journal.intend_blocking(prepared.drafts), prepared)

    async def conclude(self, intended: Intended, call: Call, outcome: Outcome) -> None:
        """Make the record of an intended call durable. Raises JournalError: the intent then stands for it.

        Where the disk is so full that only the room kept for it is left, what was answered is omitted from the record,
        and the record says so.
        """
        assert isinstance(intended, _Announced)
        self._count(call, outcome)
        drafts = _concluding(intended.prepared, call, outcome)
        try:
            await self._journal.conclude(intended.intent, drafts)
        except NoRoomError:
            await self._journal.conclude(intended.intent, _shortened(drafts))

    def conclude_blocking(self, intended: Intended, call: Call, outcome: Outcome) -> None:
        """``conclude`` for threads."""
        assert isinstance(intended, _Announced)
        self._count(call, outcome)
        drafts = _concluding(intended.prepared, call, outcome)
        try:
            self._journal.conclude_blocking(intended.intent, drafts)
        except NoRoomError:
            self._journal.conclude_blocking(intended.intent, _shortened(drafts))

    def _announcement(
        self, call: Call, resources: tuple[Mapping[str, str], ...], also_for: tuple[str, ...]
    ) -> _Prepared:
        outcome = unknown_outcome(self._clock.now(), resources=resources)
        recipients, shared = self._recipients(call, also_for)
        return _Prepared(self._drafts(call, outcome, recipients, shared), recipients, shared)

    def drafts(
        self, call: Call, outcome: Outcome, *, also_for: tuple[str, ...] = (), routes: tuple[str, ...] = ()
    ) -> list[Draft]:
        """The records of a call: one for the caller's account, one for each further account that is concerned.

        ``routes`` are trails that take the caller's copy besides those the router names: those that come to log by
        this very call.
        """
        self._count(call, outcome)
        recipients, shared = self._recipients(call, also_for)
        return self._drafts(call, outcome, recipients, shared, routes)

    def _recipients(self, call: Call, also_for: tuple[str, ...]) -> tuple[list[str], str | None]:
        """The accounts that get a record, and the id that their copies share where they do."""
        recipients = list(dict.fromkeys(account for account in (call.account_id, *also_for) if account))
        shared = self._entropy.uuid() if len(recipients) > 1 or call.principal.is_anonymous else None
        return recipients, shared

    def _drafts(
        self,
        call: Call,
        outcome: Outcome,
        recipients: Sequence[str],
        shared: str | None,
        routes: tuple[str, ...] = (),
    ) -> list[Draft]:
        drafts = []
        time_s = _seconds(outcome.completed_at)
        for recipient in recipients:
            event_id = self._entropy.uuid()
            payload = record.build(
                call, outcome, event_id=event_id, recipient_account_id=recipient, shared_event_id=shared
            )
            found = self._router(call, outcome, recipient)
            if recipient == call.account_id:
                found = tuple(dict.fromkeys((*found, *routes)))
            drafts.append(Draft(event_id, time_s, f"{recipient}/{call.region}", found, payload))
        return drafts


def _concluding(prepared: _Prepared, call: Call, outcome: Outcome) -> list[Draft]:
    """The records of an intended call's outcome, each in the place of the one that the intent held ready."""
    time_s = _seconds(outcome.completed_at)
    return [
        replace(
            draft,
            time_s=time_s,
            payload=record.build(
                call,
                outcome,
                event_id=draft.event_id,
                recipient_account_id=recipient,
                shared_event_id=prepared.shared_event_id,
            ),
        )
        for draft, recipient in zip(prepared.drafts, prepared.recipients, strict=True)
    ]


def _shortened(drafts: Sequence[Draft]) -> list[Draft]:
    return [replace(draft, payload=record.without_response(draft.payload)) for draft in drafts]


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
