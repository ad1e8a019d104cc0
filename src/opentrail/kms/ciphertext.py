"""Ciphertext blobs: what KMS's encryption makes of a plaintext, and the other way round. Pure.

Form: magic, key id, number of the key material, salt, nonce, then the AES-256-GCM ciphertext with its tag. Everything
before the ciphertext, and the encryption context, is authenticated with it. Each blob is encrypted under a key of its
own, derived from the key material with the salt: random nonces then never meet under one key, however much one
key encrypts (the limit of AES-GCM with random nonces is 2^32 messages, NIST SP 800-38D 8.3).
"""

import hashlib
import hmac
import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MATERIAL_BYTES = 32
SALT_BYTES = 16
NONCE_BYTES = 12
TAG_BYTES = 16

_MAGIC = b"OTK\x01"
_HEAD = struct.Struct(f">4s16sI{SALT_BYTES}s{NONCE_BYTES}s")
_PURPOSE = b"opentrail kms ciphertext\x00"

Context = Mapping[str, str]
"""An encryption context: names and values in clear that decryption must be given again."""


class BadCiphertextError(ValueError):
    """Bytes that no key of ours made, made for another encryption context, or that were changed."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A ciphertext blob, taken apart: which key and which of its materials can open it."""

    key_id: str
    material: int
    salt: bytes
    nonce: bytes
    sealed: bytes

    @property
    def head(self) -> bytes:
        """What stands in clear before the ciphertext."""
        return _HEAD.pack(_MAGIC, uuid.UUID(self.key_id).bytes, self.material, self.salt, self.nonce)

    def to_bytes(self) -> bytes:
        """The blob."""
        return self.head + self.sealed


def read(blob: bytes) -> Envelope:
    """Take a blob apart. Raises BadCiphertextError for bytes that are none."""
    if len(blob) < _HEAD.size + TAG_BYTES:
        raise BadCiphertextError("too short for a ciphertext")
    magic, key_id, material, salt, nonce = _HEAD.unpack_from(blob)
    if magic != _MAGIC:
        raise BadCiphertextError("not a ciphertext of this KMS")
    return Envelope(str(uuid.UUID(bytes=key_id)), material, salt, nonce, blob[_HEAD.size :])


def encrypt(secret: bytes, plaintext: bytes, context: Context, empty: Envelope) -> Envelope:
    """Encrypt under key material; ``empty`` names key, material, salt and nonce, the two last fresh and random."""
    cipher = AESGCM(_message_key(secret, empty.salt))
    sealed = cipher.encrypt(empty.nonce, plaintext, empty.head + canonical(context))
    return Envelope(empty.key_id, empty.material, empty.salt, empty.nonce, sealed)


def decrypt(secret: bytes, envelope: Envelope, context: Context) -> bytes:
    """The plaintext. Raises BadCiphertextError where anything differs: material, context, or a bit of the blob."""
    cipher = AESGCM(_message_key(secret, envelope.salt))
    try:
        return cipher.decrypt(envelope.nonce, envelope.sealed, envelope.head + canonical(context))
    except InvalidTag as problem:
        raise BadCiphertextError("the ciphertext or its encryption context was changed") from problem


def canonical(context: Context) -> bytes:
    """An encryption context as bytes: the same for the same pairs in any order, different for any others."""
    pairs = sorted((name.encode("utf-8", "surrogatepass"), value) for name, value in context.items())
    return b"".join(_framed(name) + _framed(value.encode("utf-8", "surrogatepass")) for name, value in pairs)


def _framed(text: bytes) -> bytes:
    return struct.pack(">I", len(text)) + text


def _message_key(secret: bytes, salt: bytes) -> bytes:
    return hmac.digest(secret, _PURPOSE + salt, hashlib.sha256)
