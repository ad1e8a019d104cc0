"""XML of others, read without trust.

Rules. A document with a DOCTYPE is refused (entities are how small documents become large ones), the text is UTF-8
whatever its declaration says, and names are compared without their namespace, as AWS's clients do.
"""

from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError, XMLParser


def read_document(body: bytes, *, depth_max: int) -> Element:
    """A document's root. Raises ValueError where it is none, or is built to harm."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("the document is not UTF-8 text") from None
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("a DOCTYPE is not accepted")
    parser = XMLParser()  # noqa: S314 - fed text without a DOCTYPE, so there are no entities to expand
    try:
        parser.feed(text)
        root = parser.close()
    except (ParseError, ValueError):
        raise ValueError("the document is not well-formed XML") from None
    if not isinstance(root, Element):
        raise ValueError("the document has no root")  # noqa: TRY004 - one family of error for a document
    _check_depth(root, depth_max)
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


def _check_depth(root: Element, depth_max: int) -> None:
    level = [root]
    for _ in range(depth_max):
        level = [child for node in level for child in node]
        if not level:
            return
    raise ValueError("the document is nested too deeply")
