"""Five families of errors, told apart by who must act.

* ``ApiError``: the caller. A modelled code and AWS's wording; it travels to the client and into the record.
* ``OutboundError``: the operator, or time. Something we call (a bucket, an engine) failed; it is retried and shown.
* ``JournalError``: the operator, now. Evidence cannot be written, so calls are refused.
* ``IntegrityError``: an investigator. Bytes that should be there are not, or differ. Never swallowed.
* ``ConfigError``: whoever edits the configuration or types the command.

Anything else that is raised is a bug and answers ``InternalFailure``.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType


class OpenTrailError(Exception):
    """The root of every error that OpenTrail raises on purpose."""


class ApiError(OpenTrailError):
    """A refusal that the caller is told about: ``code`` and ``message`` go on the wire and into the event record.

    ``members`` are further members that the model gives the error (``Reason``); services that speak JSON send them.
    """

    def __init__(
        self, code: str, message: str, *, status: int = 400, members: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members = members


class OutboundError(OpenTrailError):
    """A server that we call did not do what was asked. ``code`` is its own error code, or what happened to the call."""

    def __init__(self, code: str, message: str, *, retryable: bool = True) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retryable = retryable


class JournalError(OpenTrailError):
    """The journal cannot take a record; nothing may be acknowledged until the operator has acted."""


class NoRoomError(JournalError):
    """There is no room for these records at present; nothing was written, and fewer bytes may still fit."""


class IntegrityError(OpenTrailError):
    """Evidence is damaged, missing or contradicts itself."""


class ConfigError(OpenTrailError):
    """The configuration, or the way a command was used, is wrong. Carries every problem found, not only the first."""

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("; ".join(self.problems))
