"""XML of others, read without trust.

Rules. A document with a DOCTYPE is refused (entities are how small documents become large ones), the text is UTF-8
whatever its declaration says, and names are compared without their namespace, as AWS's clients do. Levels and elements
are counted while reading.
"""

from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

ELEMENTS_MAX = 500_000
"""An answer of EC2 about a thousand instances has a third of that."""

_PIECE_CHARS = 64 * 1024


class _BoundedBuilder(TreeBuilder):
    """Builds the tree as long as it is small enough: bounds that are looked at afterwards come too late."""

    def __init__(self, depth_max: int) -> None:
        super().__init__()
        self._depth_left = depth_max
        self._elements_left = ELEMENTS_MAX

    def start(self, tag: Any, attrs: Any, /) -> Element:
        """An element begins. Raises ValueError where it is one too many."""
        self._depth_left -= 1
        self._elements_left -= 1
        if self._depth_left < 0 or self._elements_left < 0:
            raise _TooLargeError
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        """An element ends."""
        self._depth_left += 1
        return super().end(tag)


class _TooLargeError(Exception):
    """The document has more levels or elements than allowed."""


def read_document(body: bytes, *, depth_max: int) -> Element:
    """A document's root. Raises ValueError where it is none, or is built to harm."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("the document is not UTF-8 text") from None
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("a DOCTYPE is not accepted")
    parser = XMLParser(target=_BoundedBuilder(depth_max))  # noqa: S314 - without a DOCTYPE, no entities to expand
    try:
        # In pieces, since a parser that was told to stop still reads what it has been given to its end.
        for start in range(0, len(text), _PIECE_CHARS):
            parser.feed(text[start : start + _PIECE_CHARS])
        root = parser.close()
    except _TooLargeError:
        raise ValueError("the document is nested too deeply, or has too many elements") from None
    except (ParseError, ValueError):
        raise ValueError("the document is not well-formed XML") from None
    if not isinstance(root, Element):
        raise ValueError("the document has no root")  # noqa: TRY004 - one family of error for a document
    return root


def children(parent: Element, name: str) -> Iterator[Element]:
    """The children of a name, whatever their namespace."""
    return (child for child in parent if local_name(child) == name)


def text_of(parent: Element, name: str) -> str | None:
    """The text of the first child of a name; None where there is none."""
    child = next(children(parent, name), None)
    return None if child is None else (child.text or "")


def local_name(node: Element) -> str:
    """An element's name without its namespace."""
    return node.tag.rpartition("}")[2]
