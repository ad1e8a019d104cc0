"""Reloading the configuration, as an operation: authorised and recorded like any other."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from opentrail.errors import ApiError, ConfigError
from opentrail.events.call import Call
from opentrail.services.opentrail.operators import operators_only
from opentrail.services.operation import operation
from opentrail.state.database import Unit


class Outcome(Protocol):
    """What a reload did: names of settings that are in force now, and of those that wait for a restart."""

    @property
    def applied(self) -> Sequence[str]:
        """In force now."""

    @property
    def waiting(self) -> Sequence[str]:
        """Not before a restart."""


class ConfigurationReload:
    """Handler of ReloadConfiguration."""

    def __init__(self, reload: Callable[[], Outcome], operator_account_id: str) -> None:
        """``reload`` puts the settings in force, or raises ConfigError."""
        self._reload = reload
        self._operator_account_id = operator_account_id

    @operation("ReloadConfiguration", writes=True)
    def reload_configuration(self, call: Call, _request: Mapping[str, Any], _unit: Unit) -> Mapping[str, Any]:
        """Read the configuration anew, and put in force what can change without a restart."""
        operators_only(call, self._operator_account_id)
        try:
            outcome = self._reload()
        except ConfigError as problem:
            raise ApiError("InvalidConfigurationException", "; ".join(problem.problems)) from problem
        return {"Applied": list(outcome.applied), "WaitingForRestart": list(outcome.waiting)}
