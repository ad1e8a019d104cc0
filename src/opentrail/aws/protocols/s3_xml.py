"""S3's XML: documents of ours, and documents of others as ``xml_documents`` reads them, no deeper than S3's are."""

from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from opentrail.aws.protocols.xml_documents import children, local_name, read_document, text_of

__all__ = ["DECLARATION", "MAX_DEPTH", "NAMESPACE", "children", "document", "element", "local_name", "read", "text_of"]

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
    return read_document(body, depth_max=MAX_DEPTH)


def _allowed(character: str) -> bool:
    point = ord(character)
    return point in (9, 10, 13) or 32 <= point < 0xD800 or 0xE000 <= point < 0xFFFE or point > 0xFFFF
