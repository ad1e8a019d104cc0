"""RSA keys of Chef users: making a pair, and reading a caller's public key.

Chef signs with RSA only; the engine itself would take weak or unusable keys (measured: 1024 bits, even EC), so the
check is here. Key generation draws from the operating system inside ``cryptography`` and takes about 0.1 s.
"""

from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

MIN_BITS = 2048
MAX_BITS = 8192
_GENERATED_BITS = 2048


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key (PKCS#1 PEM, the form knife expects) and its public key (SPKI PEM)."""

    private_pem: str = field(repr=False)
    public_pem: str


def generate_key_pair() -> KeyPair:
    """Make a 2048-bit RSA pair."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=_GENERATED_BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return KeyPair(private.decode("ascii"), _spki(key.public_key()))


def read_public_key(text: str) -> str:
    """A caller's RSA public key in SPKI PEM form, whichever PEM form it came in.

    Raises ValueError where it is not an RSA public key of 2048 to 8192 bits; the message never repeats the input.
    """
    try:
        key = serialization.load_pem_public_key(text.strip().encode("utf-8", "replace"))
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("it is not a public key in PEM form") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("it is not an RSA key")  # noqa: TRY004 - a caller's wrong value, not a wrong type of ours
    if not MIN_BITS <= key.key_size <= MAX_BITS:
        raise ValueError(f"it has {key.key_size} bits; {MIN_BITS} to {MAX_BITS} are allowed")
    return _spki(key)


def same_public_key(one: str, other: str) -> bool:
    """Whether two texts in PEM form are the same key; False where one is no key at all."""
    try:
        return read_public_key(one) == read_public_key(other)
    except ValueError:
        return False


def _spki(key: rsa.RSAPublicKey) -> str:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode("ascii")
