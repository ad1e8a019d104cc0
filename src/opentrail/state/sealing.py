"""Secrets that must survive a restart are sealed: AES-256-GCM under a key that lives in one file of HOME (mode 0600).

The context (which secret, of whom) is authenticated with it, so that a sealed value cannot be moved to another row.
"""

from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from opentrail.clock import Entropy
from opentrail.errors import IntegrityError
from opentrail.state.private_files import write_private

_KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = b"\x01"


class Seal:
    """Seals and opens small secrets."""

    def __init__(self, key: bytes, entropy: Entropy) -> None:
        self._cipher = AESGCM(key)
        self._entropy = entropy

    @classmethod
    def at(cls, path: Path, entropy: Entropy) -> "Seal":
        """The seal whose key is in that file; the key is made at first use.

        Raises IntegrityError where the file does not hold a key.
        """
        if not path.exists():
            write_private(path, entropy.token(_KEY_BYTES))
        key = path.read_bytes()
        if len(key) != _KEY_BYTES:
            raise IntegrityError(f"{path} does not hold a sealing key of {_KEY_BYTES} bytes; restore it from a backup")
        return cls(key, entropy)

    def seal(self, plaintext: bytes, context: str) -> bytes:
        """Encrypt under a context; the same context is needed to open it."""
        nonce = self._entropy.token(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plaintext, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Decrypt what ``seal`` made. Raises IntegrityError where it was changed, moved or sealed by another key."""
        nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            if sealed[:1] != _VERSION:
                raise InvalidTag
            return self._cipher.decrypt(nonce, ciphertext, context.encode())
        except (InvalidTag, ValueError) as problem:
            raise IntegrityError(f"the sealed secret of {context} cannot be opened with this HOME's key") from problem
