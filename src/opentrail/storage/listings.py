"""S3's listing documents (ListObjectsV2), read a page at a time."""

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote_plus
from xml.etree import ElementTree

from opentrail.errors import OutboundError


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """One line of a listing; ``modified_at`` is when the store took the object (aware)."""

    key: str
    size_bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class ListingPage:
    """One page. ``next_token`` asks for the next one; None at the end."""

    entries: list[ObjectEntry]
    folders: list[str]
    next_token: str | None


def read_listing(document: bytes) -> ListingPage:
    """A page of a listing. Raises OutboundError where it is none: a server that is no S3."""
    try:
        root = ElementTree.fromstring(document)  # noqa: S314 - this Python's expat stops entity bombs
        space = root.tag[: root.tag.index("}") + 1] if root.tag.startswith("{") else ""
        encoded = root.findtext(f"{space}EncodingType") == "url"
        return ListingPage(
            [_entry(contents, space, encoded) for contents in root.iterfind(f"{space}Contents")],
            [_name(folder.findtext(f"{space}Prefix"), encoded) for folder in root.iterfind(f"{space}CommonPrefixes")],
            root.findtext(f"{space}NextContinuationToken") if root.findtext(f"{space}IsTruncated") == "true" else None,
        )
    except (ElementTree.ParseError, ValueError) as error:
        raise OutboundError(
            "InvalidListing", f"the server's listing cannot be read: {error}", retryable=False
        ) from error


def _entry(contents: ElementTree.Element, space: str, encoded: bool) -> ObjectEntry:  # noqa: FBT001 - private
    modified = datetime.fromisoformat(contents.findtext(f"{space}LastModified") or "")
    return ObjectEntry(
        _name(contents.findtext(f"{space}Key"), encoded),
        int(contents.findtext(f"{space}Size") or ""),
        modified if modified.tzinfo else modified.replace(tzinfo=UTC),
    )


def _name(text: str | None, encoded: bool) -> str:  # noqa: FBT001 - private
    if text is None:
        raise ValueError("an entry without a name")
    return unquote_plus(text) if encoded else text
