"""Where calls to services come in: signature verified, scope checked, refusals recorded where they name somebody."""

from collections.abc import Callable

from opentrail.clock import Clock
from opentrail.errors import ApiError
from opentrail.events.call import Call, Outcome
from opentrail.gateway.admit import Admission, Claim, Refusal, refused
from opentrail.gateway.calls import call_of
from opentrail.gateway.exchange import Caller, Incoming, Recorder
from opentrail.gateway.route import Destination


class Entrance:
    """Lets proven callers in."""

    def __init__(self, admission: Admission, recorder: Recorder, clock: Clock, *, default_region: str) -> None:
        """``default_region``: of calls whose signature names none."""
        self._admission = admission
        self._recorder = recorder
        self._clock = clock
        self._default_region = default_region

    async def enter(
        self,
        incoming: Incoming,
        to: Destination,
        claim: Claim,
        name: Callable[[], str],
        *,
        payload_hash: str | None,
        unsigned: bool = False,
    ) -> tuple[Caller, Call]:
        """Who calls, and the call as far as it is known. ``name`` tells the operation's; the rest as for
        ``Admission.admit``.

        Raises ApiError, recorded already where it names a known key, and JournalError where it could not be.
        """
        service = to.service
        try:
            caller = self._admission.admit(incoming.head, claim, payload_hash, to.dialect, unsigned=unsigned)
        except Refusal as refusal:
            if service is not None and refusal.owner is not None:
                region = self._default_region
                call = call_of(incoming, service, refusal.owner, claim, name(), default_region=region)
                await self.record_refusal(call, refusal)
            raise
        if service is None:
            raise ApiError("UnknownService", f"No AWS service is meant by this request to {incoming.head.host!r}")
        call = call_of(incoming, service, caller.principal, claim, name(), default_region=self._default_region)
        if claim.authorization is not None and claim.authorization.scope.service != service.signing_name:
            message = f"Credential should be scoped to correct service: '{service.signing_name}'."
            misdirected = refused("mismatch", to.dialect, message)
            await self.record_refusal(call, misdirected)
            raise misdirected
        return caller, call

    async def record_refusal(self, call: Call, error: ApiError) -> None:
        """Record that a call was refused. Raises JournalError."""
        outcome = Outcome(completed_at=self._clock.now(), error_code=error.code, error_message=error.message)
        await self._recorder.record(call, outcome)
