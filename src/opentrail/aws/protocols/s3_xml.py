"""S3's XML: documents of ours, and documents of others read without trust.

Rules. A document with a DOCTYPE is refused (entities are how small documents become large ones), the text is UTF-8
whatever its declaration says, and names are compared without their namespace, as S3 does.
"""

from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError, XMLParser
from xml.sax.saxutils import escape

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
MAX_DEPTH = 32


def document(root: str, inside: str, *, namespace: bool = True) -> bytes:
    """A whole document; ``inside`` is markup already."""
    attribute = f' xmlns="{NAMESPACE}"' if namespace else ""
    return f"{DECLARATION}<{root}{attribute}>{inside}</{root}>".encode()


def element(name: str, text: str) -> str:
    """One element with text. Characters that XML cannot hold are replaced."""
    allowed = "".join(character if _allowed(character) else "\ufffd" for character in text)
    return f"<{name}>{escape(allowed, {chr(13): '&#13;'})}</{name}>"


def read(body: bytes) -> Element:
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
    _check_depth(root)
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


def _check_depth(root: Element) -> None:
    level = [root]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in node]
        if not level:
            return
    raise ValueError("the document is nested too deeply")


def _allowed(character: str) -> bool:
    point = ord(character)
    return point in (9, 10, 13) or 32 <= point < 0xD800 or 0xE000 <= point < 0xFFFE or point > 0xFFFF
