"""Tagged resources, which of them a request means, and pages of them. Pure.

Rules (Resource Groups Tagging API Reference, GetResources). Filters of different keys must all hold, the values of one
are alternatives, a filter without values asks for the key alone. A type is ``service`` or ``service:type`` as ARNs
have them. A page holds whole resources: one that would break ``TagsPerPage`` begins the next, and a resource without
tags counts as one tag. Resources come in the order of their ARNs, so what comes or goes meanwhile repeats and skips
nothing else.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

RESOURCES_PER_PAGE_MAX = 100
TAGS_PER_PAGE = range(100, 501, 100)
_TYPE = re.compile(r"[^:/]+")


@dataclass(frozen=True, slots=True)
class Tagged:
    """One resource and its tags."""

    arn: str
    tags: Mapping[str, str]

    @property
    def service(self) -> str:
        """The service in its ARN."""
        return service_in(self.arn)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks for: ``tags`` are (key, values), ``types`` are ``service`` or ``service:type``."""

    tags: Sequence[tuple[str, frozenset[str]]] = ()
    types: frozenset[str] = frozenset()

    def takes(self, resource: Tagged) -> bool:
        """Whether a resource is asked for."""
        service = resource.service
        if self.types and not self.types & {service, f"{service}:{type_in(resource.arn)}"}:
            return False
        tags = resource.tags
        return all(key in tags and (not values or tags[key] in values) for key, values in self.tags)

    def reaches(self, services: frozenset[str]) -> bool:
        """Whether other services' resources than these can be meant."""
        return not self.types or any(wanted.partition(":")[0] not in services for wanted in self.types)


def service_in(arn: str) -> str:
    """The service that an ARN names; empty for what is no ARN."""
    parts = arn.split(":", 5)
    return parts[2] if len(parts) == 6 and parts[0] == "arn" else ""


def type_in(arn: str) -> str:
    """The resource type in an ARN: what stands before the first ``/`` or ``:``; SNS's ARNs name none but topics."""
    parts = arn.split(":", 5)
    if len(parts) < 6:
        return ""
    if parts[2] == "sns":
        return "topic"
    found = _TYPE.match(parts[5])
    return found[0] if found and found.end() < len(parts[5]) else ""


def page(
    resources: Iterable[Tagged], after: str, *, size: int, tags_per_page: int | None
) -> tuple[list[Tagged], str | None]:
    """One page of the resources behind an ARN, and the ARN after which the next begins; None: there is none."""
    rest = sorted((one for one in resources if one.arn > after), key=lambda one: one.arn)
    shown: list[Tagged] = []
    tags = 0
    for resource in rest[:size]:
        tags += max(len(resource.tags), 1)
        if tags_per_page is not None and shown and tags > tags_per_page:
            break
        shown.append(resource)
    return shown, shown[-1].arn if shown and len(shown) < len(rest) else None
