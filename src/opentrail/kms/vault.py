"""Encrypting and decrypting with keys of the store: what KMS's cryptographic operations have in common.

Rules. Whether somebody may is decided before (``access``); here only the key's state is looked at. Errors are KMS's
own codes.
"""

from dataclasses import dataclass, field

from opentrail.clock import Entropy
from opentrail.errors import ApiError
from opentrail.kms.ciphertext import (
    NONCE_BYTES,
    SALT_BYTES,
    BadCiphertextError,
    Context,
    Envelope,
    decrypt,
    encrypt,
    read,
)
from opentrail.kms.key import Key, KeyMaterial, KeyState


@dataclass(frozen=True, slots=True)
class Opened:
    """What was in a ciphertext, and the material that it was encrypted with."""

    plaintext: bytes = field(repr=False)
    material: KeyMaterial


class Vault:
    """Encrypts and decrypts; keeps nothing."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy

    def seal(self, key: Key, plaintext: bytes, context: Context) -> bytes:
        """A ciphertext blob of the key's current material. Raises ApiError where the key's state forbids it."""
        require_usable(key)
        salt, nonce = self._entropy.token(SALT_BYTES), self._entropy.token(NONCE_BYTES)
        empty = Envelope(key.key_id, key.current.number, salt, nonce, b"")
        return encrypt(key.current.secret, plaintext, context, empty).to_bytes()

    def open(self, key: Key, envelope: Envelope, context: Context) -> Opened:
        """What is in a blob of this key.

        Raises ApiError: InvalidCiphertextException, or what the key's state says.
        """
        require_usable(key)
        material = key.material(envelope.material)
        if material is None:
            raise invalid_ciphertext()
        try:
            return Opened(decrypt(material.secret, envelope, context), material)
        except BadCiphertextError:
            raise invalid_ciphertext() from None

    def random(self, size_bytes: int) -> bytes:
        """That many unpredictable bytes."""
        return self._entropy.token(size_bytes)


def envelope_of(blob: bytes) -> Envelope:
    """A blob taken apart. Raises ApiError InvalidCiphertextException."""
    try:
        return read(blob)
    except BadCiphertextError:
        raise invalid_ciphertext() from None


def require_usable(key: Key) -> None:
    """Raises ApiError where a key's state keeps it from being used: DisabledException, KMSInvalidStateException."""
    if key.state is KeyState.DISABLED:
        raise ApiError("DisabledException", f"{key.arn} is disabled.")
    if key.state is KeyState.PENDING_DELETION:
        raise ApiError("KMSInvalidStateException", f"{key.arn} is pending deletion.")


def invalid_ciphertext() -> ApiError:
    """The refusal of a ciphertext; AWS says nothing about the reason."""
    return ApiError("InvalidCiphertextException", "")
