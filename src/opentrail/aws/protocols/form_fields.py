"""The fields of a Query request as a tree: ``Tags.member.1.Key=a`` is the path Tags, member, 1, Key with text ``a``.

Names are split at dots only, so the tree's shape depends on the client alone; the model decides what is read from it.
"""

from collections.abc import Iterator
from urllib.parse import parse_qsl

from opentrail.aws.protocols import scalars
from opentrail.errors import ApiError

FIELDS_MAX = 10_000
NODES_MAX = 200_000
_PATH_PARTS_MAX = 2 * scalars.DEPTH_MAX
_INDEX_DIGITS_MAX = 6


class FormField:
    """A node of the tree: the text given for its own name, if any, and the fields below it."""

    __slots__ = ("children", "text")

    def __init__(self) -> None:
        self.text: str | None = None
        self.children: dict[str, FormField] = {}

    def numbered(self) -> Iterator["FormField"]:
        """The children whose names are positions (1, 2, ...), in the order of those numbers; gaps are closed."""
        positions = [name for name in self.children if len(name) <= _INDEX_DIGITS_MAX and name.isdecimal()]
        for name in sorted(positions, key=int):
            yield self.children[name]


def parse_fields(query: str, body: bytes) -> dict[str, str]:
    """The fields of a query string and a form body; the body's win, and the first of a name.

    Raises ApiError: MalformedInput for what is not UTF-8 or has too many fields, RequestEntityTooLargeException.
    """
    scalars.check_size(body)
    fields: dict[str, str] = {}
    try:
        for text in (body.decode("utf-8"), query):
            for name, value in parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX):
                fields.setdefault(name, value)
    except ValueError:
        raise ApiError("MalformedInput", "The request is not a well-formed form in UTF-8") from None
    return fields


def build_tree(fields: dict[str, str]) -> FormField:
    """The tree of all fields. Raises ApiError (MalformedInput) for names of absurdly many parts, alone or together."""
    root = FormField()
    room = NODES_MAX
    for name, value in fields.items():
        parts = name.split(".", _PATH_PARTS_MAX)
        if len(parts) > _PATH_PARTS_MAX:
            raise ApiError("MalformedInput", f"A parameter name has more than {_PATH_PARTS_MAX} parts")
        room -= len(parts)
        if room < 0:
            raise ApiError("MalformedInput", f"The parameter names have more than {NODES_MAX} parts together")
        node = root
        for part in parts:
            node = node.children.setdefault(part, FormField())
        node.text = value
    return root
