"""From a finished call to durable evidence: one draft per recipient, routed, in one atomic group."""

from collections.abc import Callable, Sequence

from opentrail.clock import Entropy
from opentrail.events import record
from opentrail.events.call import Call, Outcome
from opentrail.journal.frames import Draft
from opentrail.journal.journal import Journal

Router = Callable[[Call, str], tuple[str, ...]]
"""Which trails take a call's record, for one recipient account."""


class Recording:
    """Makes event records and puts them into the journal."""

    def __init__(self, journal: Journal, entropy: Entropy, router: Router) -> None:
        self._journal = journal
        self._entropy = entropy
        self._router = router

    async def record(self, call: Call, outcome: Outcome, *, also_for: tuple[str, ...] = ()) -> None:
        """Make a call's record durable. Raises JournalError where it cannot be."""
        await self.write(self.drafts(call, outcome, also_for=also_for))

    async def write(self, drafts: Sequence[Draft]) -> None:
        """Make records durable that ``drafts`` prepared; nothing to do where no account is concerned."""
        if drafts:
            await self._journal.write(drafts)

    def drafts(
        self, call: Call, outcome: Outcome, *, also_for: tuple[str, ...] = (), routes: tuple[str, ...] = ()
    ) -> list[Draft]:
        """The records of a call: one for the caller's account, one for each further account that is concerned.

        ``routes`` are trails that take the caller's copy besides those the router names: those that come to log by
        this very call.
        """
        recipients = dict.fromkeys(account for account in (call.account_id, *also_for) if account)
        shared = self._entropy.uuid() if len(recipients) > 1 or call.principal.is_anonymous else None
        drafts = []
        for recipient in recipients:
            event_id = self._entropy.uuid()
            payload = record.build(
                call, outcome, event_id=event_id, recipient_account_id=recipient, shared_event_id=shared
            )
            found = self._router(call, recipient)
            if recipient == call.account_id:
                found = tuple(dict.fromkeys((*found, *routes)))
            drafts.append(
                Draft(
                    event_id=event_id,
                    time_s=int(outcome.completed_at.timestamp()),
                    partition=f"{recipient}/{call.region}",
                    routes=found,
                    payload=payload,
                )
            )
        return drafts
