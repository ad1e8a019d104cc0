"""The size rules of an event record (cloudtrail fact sheet 1.2, 1.4).

Rules: texts are cut at 1 KB; objects over their limit lose their content to a stub that says so, and the SHA-256 of
what was omitted stays in the record, so that padding a policy hides nothing that cannot be proved later; a record
never exceeds 256 KB, which takes away the largest objects first in the order documented for event data stores.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from opentrail.events.encoding import encode

TEXT_BYTES_MAX = 1024
ELEMENTS_BYTES_MAX = 100 * 1024
ADDITIONAL_BYTES_MAX = 28 * 1024
RESOURCES_BYTES_MAX = 28 * 1024
RECORD_BYTES_MAX = 256 * 1024

_ADDITIONAL = "additionalEventData"
_LIMITED = ("requestParameters", "responseElements", "serviceEventDetails")
_SACRIFICED = ("serviceEventDetails", "responseElements", "requestParameters")
_UTF8_BYTES_PER_CHARACTER_MAX = 4


def cut(text: str) -> str:
    """At most 1 KB of UTF-8; a character is kept whole or not at all."""
    if len(text) <= TEXT_BYTES_MAX // _UTF8_BYTES_PER_CHARACTER_MAX:
        return text
    return text[:TEXT_BYTES_MAX].encode("utf-8", "replace")[:TEXT_BYTES_MAX].decode("utf-8", "ignore")


def encode_record(event: dict[str, Any], order: tuple[str, ...]) -> bytes:
    """The record's bytes, within every limit, with its keys in the order given. The event given may be changed.

    Small records, nearly all, are encoded once: where the whole is below the smallest limit, no part can be over
    its own.
    """
    record = encode(event)
    if len(record) <= ADDITIONAL_BYTES_MAX:
        return record
    notes: dict[str, Any] = {}
    for field in _LIMITED:
        _omit_over(ELEMENTS_BYTES_MAX, event, field, notes)
    _limit_resources(event, notes)
    record = _encode_with_notes(event, notes, order)
    for field in _SACRIFICED:
        if len(record) <= RECORD_BYTES_MAX:
            break
        _omit_over(TEXT_BYTES_MAX, event, field, notes)
        record = _encode_with_notes(event, notes, order)
    return record


def shortened(record: bytes, order: tuple[str, ...]) -> bytes:
    """A record without all that its call's outcome added, but for the error: at most 4 KB more than its intent was.

    The hash of what was answered stays, as for everything that is omitted.
    """
    event = orjson.loads(record)
    notes = {key: note for key, note in (event.pop(_ADDITIONAL, None) or {}).items() if key.startswith("omitted")}
    _omit_over(0, event, "responseElements", notes)
    if len(encode(event.get("resources"))) > TEXT_BYTES_MAX:
        del event["resources"]
    return _encode_with_notes(event, notes, order)


def _encode_with_notes(event: Mapping[str, Any], notes: Mapping[str, Any], order: tuple[str, ...]) -> bytes:
    """The record's bytes with the notes on what was omitted in additionalEventData."""
    additional = _additional(event.get(_ADDITIONAL) or {}, notes)
    noted = {**event, _ADDITIONAL: additional} if additional else event
    return encode({key: noted[key] for key in order if key in noted})


def _omit_over(limit_bytes: int, event: dict[str, Any], field: str, notes: dict[str, Any]) -> None:
    """Replace a field over a limit with the stub, and note the hash of what was omitted."""
    note = f"omitted{field[:1].upper()}{field[1:]}Sha256"
    value = event.get(field)
    if value is None or note in notes:
        return
    text = encode(value)
    if len(text) > limit_bytes:
        event[field] = _stub(field, text)
        notes[note] = hashlib.sha256(text).hexdigest()


def _limit_resources(event: dict[str, Any], notes: dict[str, Any]) -> None:
    """Keep as many resources as fit, from the first on; the number and hash of the rest are noted."""
    resources = event.get("resources") or ()
    kept_bytes = 0
    for position, resource in enumerate(resources):
        kept_bytes += len(encode(resource)) + 1
        if kept_bytes > RESOURCES_BYTES_MAX:
            event["resources"] = resources[:position]
            notes["omittedResources"] = len(resources) - position
            notes["omittedResourcesSha256"] = hashlib.sha256(encode(resources[position:])).hexdigest()
            return


def _additional(additional: Mapping[str, Any], notes: Mapping[str, Any]) -> dict[str, Any]:
    """additionalEventData with the notes; over its limit, only the notes remain beside the stub."""
    whole = {**additional, **notes}
    text = encode(whole)
    if len(text) <= ADDITIONAL_BYTES_MAX:
        return whole
    return {**_stub(_ADDITIONAL, text), "omittedAdditionalEventDataSha256": hashlib.sha256(text).hexdigest(), **notes}


def _stub(field: str, text: bytes) -> dict[str, Any]:
    """What stands in place of content over its limit (1.4)."""
    return {"reason": f"{field} too large", "omitted": True, "originalSize": len(text)}
