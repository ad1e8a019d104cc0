"""How a service of ours declares the operations it answers.

A handler is a plain synchronous method that takes the call, its validated request (wire casing, timestamps as aware
datetimes) and, where it changes state, a unit of work; it returns the response in wire casing or raises ``ApiError``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Mapping[str, Any]])
_MARK = "__opentrail_operation__"


@dataclass(frozen=True, slots=True)
class Handler:
    """One operation's method. ``writes`` says whether it takes a unit of work: ``method(call, request[, unit])``."""

    name: str
    method: Callable[..., Mapping[str, Any]]
    writes: bool


def operation(name: str, *, writes: bool = False) -> Callable[[F], F]:
    """Mark a method as the handler of the API operation ``name``."""

    def mark(method: F) -> F:
        setattr(method, _MARK, (name, writes))
        return method

    return mark


def handlers_of(service: object) -> dict[str, Handler]:
    """The operations that a service object answers, by API name.

    Raises ValueError where two methods claim the same operation.
    """
    found: dict[str, Handler] = {}
    for attribute in dir(type(service)):
        mark = getattr(getattr(type(service), attribute), _MARK, None)
        if mark is None:
            continue
        name, writes = mark
        if name in found:
            raise ValueError(f"two handlers for {name} in {type(service).__name__}")
        found[name] = Handler(name, getattr(service, attribute), writes)
    return found
