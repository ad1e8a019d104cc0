"""The servers behind us, and which of them serves what.

A service is served by the upstream that names it, else by the one that serves all others, else by none. The set can be
replaced while calls are under way: a call keeps the upstream that it began with.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from opentrail.aws.model import Service
from opentrail.gateway.upstream import Upstream

ALL_OTHERS = "*"


@dataclass(frozen=True, slots=True)
class Behind:
    """A server behind us, and how we deal with it.

    ``services`` are names as the model, the signature or the host name has them, or ``*``; ``serves`` says which of the
    others it has, where it does not have all. ``origins`` are the URLs by which it calls itself.
    """

    name: str
    upstream: Upstream
    services: tuple[str, ...]
    intents: bool = True
    forwards_undecodable: bool = False
    origins: tuple[str, ...] = ()
    serves: Callable[[Service], bool] | None = None


class Upstreams:
    """All of them."""

    def __init__(self, behinds: Iterable[Behind] = ()) -> None:
        self._by_service: dict[str, Behind] = {}
        self._others: Behind | None = None
        self.replace(behinds)

    @property
    def every(self) -> tuple[Behind, ...]:
        """Each once."""
        found = [*self._by_service.values(), *([self._others] if self._others else [])]
        return tuple({behind.name: behind for behind in found}.values())

    def replace(self, behinds: Iterable[Behind]) -> None:
        """Serve with these from now on."""
        by_service: dict[str, Behind] = {}
        others = None
        for behind in behinds:
            for service in behind.services:
                if service == ALL_OTHERS:
                    others = behind
                else:
                    by_service[service] = behind
        self._by_service, self._others = by_service, others

    def find(self, service: Service) -> Behind | None:
        """The upstream that serves a service."""
        for name in (service.name, service.signing_name, service.endpoint_prefix):
            behind = self._by_service.get(name)
            if behind is not None:
                return behind
        others = self._others
        if others is None or (others.serves is not None and not others.serves(service)):
            return None
        return others
