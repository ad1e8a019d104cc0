"""Public keys of digest files: ListPublicKeys' entries read, and signatures checked with them.

``Value`` is base64 of a DER PKCS#1 RSAPublicKey, ``SEQUENCE { INTEGER modulus, INTEGER exponent }``, and the
fingerprint is the MD5 of those bytes (cloudtrail fact sheet 5.5). Read by hand and strictly: one way to write a
key, so that two different values never share a meaning. The fingerprint is computed here, never believed.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from opentrail.verify.times import parse_asked

_MIN_MODULUS_BITS = 2048
_MAX_MODULUS_BITS = 8192
_MAX_VALUE_CHARS = 4096
_SEQUENCE, _INTEGER = 0x30, 0x02


class KeyProblem(ValueError):
    """An entry is not a public key that could have signed a digest file."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One key and the time it was valid for."""

    fingerprint: str
    rsa: RSAPublicKey
    valid_from: datetime
    valid_until: datetime

    def verifies(self, signature: bytes, text: bytes) -> bool:
        """Whether this is the key's SHA256withRSA (PKCS#1 v1.5) signature of a text."""
        try:
            self.rsa.verify(signature, text, PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys by fingerprint; ``broken`` has the entries that could not be used, with why."""

    keys: Mapping[str, PublicKey]
    broken: Mapping[str, str]


def read_key_ring(entries: Iterable[object]) -> KeyRing:
    """The keys of a ListPublicKeys answer (its ``PublicKeyList``). Entries that are none become ``broken``."""
    keys: dict[str, PublicKey] = {}
    broken: dict[str, str] = {}
    for entry in entries:
        claimed = entry.get("Fingerprint") if isinstance(entry, Mapping) else None
        try:
            key = read_key(entry)
        except KeyProblem as problem:
            broken[claimed if isinstance(claimed, str) else "?"] = str(problem)
        else:
            keys[key.fingerprint] = key
    return KeyRing(keys, broken)


def read_key(entry: object) -> PublicKey:
    """One entry of ListPublicKeys. Raises KeyProblem."""
    if not isinstance(entry, Mapping):
        raise KeyProblem("it is not an object")
    der = _value(entry.get("Value"))
    fingerprint = hashlib.md5(der, usedforsecurity=False).hexdigest()
    if entry.get("Fingerprint") != fingerprint:
        raise KeyProblem(f"its fingerprint does not belong to its value, whose fingerprint is {fingerprint}")
    valid_from, valid_until = (_time(entry, name) for name in ("ValidityStartTime", "ValidityEndTime"))
    return PublicKey(fingerprint, _rsa(*parse_pkcs1(der)), valid_from, valid_until)


def parse_pkcs1(der: bytes) -> tuple[int, int]:
    """Modulus and exponent of a DER RSAPublicKey. Raises KeyProblem unless it is exactly that, in DER's one form."""
    content, rest = _element(der, _SEQUENCE)
    if rest:
        raise KeyProblem("bytes follow the key")
    modulus, content = _integer(content)
    exponent, content = _integer(content)
    if content:
        raise KeyProblem("it has more than a modulus and an exponent")
    if not _MIN_MODULUS_BITS <= modulus.bit_length() <= _MAX_MODULUS_BITS:
        raise KeyProblem(f"its modulus has {modulus.bit_length()} bits")
    return modulus, exponent


def _element(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content of the DER element at the front, and what follows it."""
    if len(data) < 2 or data[0] != tag:
        raise KeyProblem("not a DER RSAPublicKey (PKCS#1)")
    length, at = data[1], 2
    if length >= 0x80:
        count = length & 0x7F
        if not 1 <= count <= 2 or len(data) < 2 + count:
            raise KeyProblem("a DER length is wrong")
        length, at = int.from_bytes(data[2 : 2 + count]), 2 + count
        if length < 0x80 or (count == 2 and length < 0x100):
            raise KeyProblem("a DER length is longer than needed")
    if len(data) < at + length:
        raise KeyProblem("it is cut off")
    return data[at : at + length], data[at + length :]


def _integer(data: bytes) -> tuple[int, bytes]:
    content, rest = _element(data, _INTEGER)
    if not content or content[0] >= 0x80:
        raise KeyProblem("a number is empty or negative")
    if len(content) > 1 and content[0] == 0 and content[1] < 0x80:
        raise KeyProblem("a number is longer than needed")
    return int.from_bytes(content), rest


def _rsa(modulus: int, exponent: int) -> RSAPublicKey:
    try:
        return RSAPublicNumbers(exponent, modulus).public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyProblem(f"not an RSA key: {error}") from error


def _value(value: object) -> bytes:
    """``Value`` as bytes: boto3 has it decoded, JSON has it in base64."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str) or len(value) > _MAX_VALUE_CHARS:
        raise KeyProblem("it has no value")
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        raise KeyProblem("its value is not base64") from None


def _time(entry: Mapping[str, Any], name: str) -> datetime:
    """A time as boto3 (datetime), the AWS CLI (ISO 8601) or the wire (epoch seconds) has it."""
    value = entry.get(name)
    try:
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, str):
            return parse_asked(value)
    except (ValueError, OverflowError, OSError):
        pass
    raise KeyProblem(f"its {name} is not a time")
