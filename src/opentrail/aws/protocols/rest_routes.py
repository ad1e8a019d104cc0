"""REST routing: which operation a method and path mean, and what the labels of its URI template stand for.

Templates are the models' ``requestUri``: literal segments, labels (``{Name}``), at most one greedy label (``{Key+}``),
and a query string of literals (``?tagging``, ``?operation=add``). The more specific template wins: a literal segment
before a label before a greedy one, then more literals in the query string, then required members that are there.

What we call an operation decides whether its caller may do it, so nothing is guessed: empty, ``.`` and ``..`` segments
match no label, and a literal of the query string may come only once. Only a slash at the end is forgiven, missing or
too much: models have changed their minds about it (Lambda's ListFunctions), and servers take both.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote

from opentrail.aws.model import Operation, Service

_SEGMENTS_MAX = 1024
_FIELDS_MAX = 10_000
_TABLES_KEPT = 64


@dataclass(frozen=True, slots=True)
class Template:
    """A ``requestUri``, taken apart."""

    segments: tuple[str, ...]
    literals: tuple[tuple[str, str | None], ...]

    @classmethod
    def of(cls, uri: str) -> "Template":
        """Take a ``requestUri`` apart."""
        path, _, query = uri.partition("?")
        pairs = (part.partition("=") for part in query.split("&") if part)
        literals = tuple((unquote(name), unquote(value) if equals else None) for name, equals, value in pairs)
        return cls(_segments(path), literals)

    def labels(self, path: str) -> dict[str, str] | None:
        """What each label stands for in a raw path, decoded; None where the path is not of this template.

        Raises UnicodeDecodeError where it is not UTF-8.
        """
        for spelling in _spellings(path):
            found = self._labels(_segments(spelling))
            if found is not None:
                return found
        return None

    def _labels(self, given: tuple[str, ...]) -> dict[str, str] | None:
        greedy = next((n for n, segment in enumerate(self.segments) if segment.endswith("+}")), None)
        extra = len(given) - len(self.segments)
        if extra < 0 or (extra and greedy is None):
            return None
        if greedy is not None:
            given = (*given[:greedy], "/".join(given[greedy : greedy + extra + 1]), *given[greedy + extra + 1 :])
        found: dict[str, str] = {}
        for segment, raw in zip(self.segments, given, strict=True):
            text = unquote(raw, errors="strict")
            if segment.startswith("{") and text:
                found[segment.strip("{+}")] = text
            elif segment != text:
                return None
        return found

    def fits(self, fields: Mapping[str, Sequence[str]]) -> bool:
        """Whether a query string has each literal."""
        return all(name in fields and value in (None, fields[name][0]) for name, value in self.literals)


@dataclass(frozen=True, slots=True)
class _Route:
    """An operation that a path may mean; ``required`` are the members that tell it from others of the same template."""

    operation: str
    template: Template
    required: frozenset[tuple[str, str]] = frozenset()


@dataclass(slots=True)
class _Node:
    """What may follow the segments so far, and the routes that end here, by method."""

    literals: dict[str, "_Node"] = field(default_factory=dict)
    label: "_Node | None" = None
    greedy: "_Node | None" = None
    routes: dict[str, list[_Route]] = field(default_factory=dict)


class RouteTable:
    """All routes of a service."""

    def __init__(self, routes: Iterator[tuple[str, _Route]]) -> None:
        self._root = _Node()
        for method, route in routes:
            self._add(method, route)

    def find(self, method: str, path: str, query: str, headers: Mapping[str, str]) -> str | None:
        """The name of the operation that a request means; None where there is none, or where it is malformed."""
        try:
            fields = query_fields(query)
            places = [list(self._places(spelling)) for spelling in _spellings(path)]
        except ValueError:
            return None
        for node in (*places[0], *places[1]):
            routes = node.routes.get(method, ())
            if any(len(fields.get(name, ())) > 1 for route in routes for name, _ in route.template.literals):
                return None
            found = _best(routes, fields, headers)
            if found is not None:
                return found.operation
        return None

    def _places(self, path: str) -> Iterator["_Node"]:
        """Where a path ends, the most specific first. Raises UnicodeDecodeError."""
        segments = _segments(path)
        if len(segments) > _SEGMENTS_MAX:
            return iter(())
        return _ends(self._root, [unquote(segment, errors="strict") for segment in segments], 0)

    def _add(self, method: str, route: _Route) -> None:
        node = self._root
        for segment in route.template.segments:
            if segment.endswith("+}"):
                node.greedy = node.greedy or _Node()
                node = node.greedy
            elif segment.startswith("{"):
                node.label = node.label or _Node()
                node = node.label
            else:
                node = node.literals.setdefault(segment, _Node())
        node.routes.setdefault(method, []).append(route)


@lru_cache(maxsize=_TABLES_KEPT)
def routes_of(service: Service) -> RouteTable:
    """The routes of a service, made on first use. It keeps names only, so models may leave memory."""
    operations = [service.operation(name) for name in service.operation_names]
    shared = Counter(_place(operation) for operation in operations)
    return RouteTable((operation.http_method, _route(operation, shared)) for operation in operations)


@lru_cache(maxsize=4096)
def template_of(uri: str) -> Template:
    """A ``requestUri``, taken apart once."""
    return Template.of(uri)


def query_fields(query: str) -> dict[str, list[str]]:
    """A query string's fields, each with all its values. Raises ValueError: not UTF-8, or absurdly many."""
    fields: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=_FIELDS_MAX):
        fields.setdefault(name, []).append(value)
    return fields


def _spellings(path: str) -> tuple[str, str]:
    """A path as it is, and with the slash at its end taken or given."""
    return path, path[:-1] if path.endswith("/") else f"{path}/"


def _segments(path: str) -> tuple[str, ...]:
    return tuple(path.removeprefix("/").split("/"))


def _place(operation: Operation) -> tuple[str, tuple[str, ...]]:
    """What operations share that only their members tell apart."""
    segments = template_of(operation.http_uri).segments
    return operation.http_method, tuple("{}" if segment.startswith("{") else segment for segment in segments)


def _route(operation: Operation, shared: Mapping[Any, int]) -> _Route:
    required: set[tuple[str, str]] = set()
    shape: Any = operation.input_shape
    if shared[_place(operation)] > 1 and shape is not None:
        for name in shape.required_members:
            location = shape.members[name].serialization
            if location.get("location") in ("querystring", "header"):
                required.add((location["location"], location.get("name", name)))
    return _Route(operation.name, template_of(operation.http_uri), frozenset(required))


def _ends(node: _Node, segments: Sequence[str], at: int) -> Iterator[_Node]:
    """The nodes at which a path ends, the most specific first."""
    if at == len(segments):
        yield node
        return
    here = segments[at]
    below = node.literals.get(here)
    if below is not None:
        yield from _ends(below, segments, at + 1)
    if node.label is not None and _is_value(here):
        yield from _ends(node.label, segments, at + 1)
    if node.greedy is not None and any(segments[at:]) and not any(map(_climbs, segments[at:])):
        for end in range(at + 1, len(segments) + 1):
            yield from _ends(node.greedy, segments, end)


def _is_value(segment: str) -> bool:
    return segment != "" and not _climbs(segment)


def _climbs(segment: str) -> bool:
    """Whether a decoded segment means another place to a server that resolves dots, before or after decoding."""
    return "." in segment and not {".", ".."}.isdisjoint(segment.split("/"))


def _best(routes: Sequence[_Route], fields: Mapping[str, Sequence[str]], headers: Mapping[str, str]) -> _Route | None:
    """Among routes of one place: those whose literals are there; then the one that explains most of the request."""
    fitting = [route for route in routes if route.template.fits(fields)]
    if len(fitting) < 2:
        return fitting[0] if fitting else None

    def explains(route: _Route) -> tuple[int, bool, int]:
        there = sum(
            name in fields if where == "querystring" else name.lower() in headers for where, name in route.required
        )
        return len(route.template.literals), there == len(route.required), there

    return max(fitting, key=explains)
