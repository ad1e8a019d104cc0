"""The key that messages are signed with, its certificate, and the tokens of subscriptions.

Rules. One RSA key of 2048 bits per HOME, made at first start, sealed in the state; its self-signed certificate is
served at the SigningCertURL, so that signatures can be verified without asking us again. Tokens are a keyed hash over
the subscription: none is stored, and none can be made without the key.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from opentrail.clock import Clock, Entropy
from opentrail.errors import IntegrityError
from opentrail.state.database import Database
from opentrail.state.sealing import Seal
from opentrail.topics.tables import keys

_DAYS = 3650
_TOKEN_KEY_BYTES = 32
_ID_CHARS = 36
_HASHES = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303 - what SignatureVersion 1 is


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The key, its certificate (PEM), and the certificate's file name."""

    private: rsa.RSAPrivateKey
    certificate: bytes
    name: str

    def sign(self, content: bytes, version: str) -> bytes:
        """A signature of SNS's version 1 (RSA, PKCS #1 v1.5, SHA-1) or 2 (SHA-256)."""
        return self.private.sign(content, padding.PKCS1v15(), _HASHES[version])


class Tokens:
    """Makes and reads the tokens by which subscriptions are confirmed."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, subscription_arn: str, created_s: float) -> str:
        """The token of a subscription that was made at an instant."""
        return subscription_arn[-_ID_CHARS:].replace("-", "") + self._code(subscription_arn, created_s)

    def subscription_id(self, token: str) -> str | None:
        """The id of the subscription that a token claims to be of; None where it is no token."""
        if len(token) != 32 + 64 or not all(c in "0123456789abcdef" for c in token):
            return None
        return "-".join((token[:8], token[8:12], token[12:16], token[16:20], token[20:32]))

    def is_of(self, token: str, subscription_arn: str, created_s: float) -> bool:
        """Whether it is that subscription's token."""
        return hmac.compare_digest(token.encode("utf-8", "replace"), self.make(subscription_arn, created_s).encode())

    def _code(self, subscription_arn: str, created_s: float) -> str:
        text = f"{subscription_arn}\n{created_s!r}"
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()


def open_keys(database: Database, seal: Seal, clock: Clock, entropy: Entropy) -> tuple[SigningKey, Tokens]:
    """The keys of this HOME, made where there are none yet. Raises IntegrityError where they cannot be opened."""
    with database.read() as connection:
        found = {row.name: row for row in connection.execute(sa.select(keys))}
    if "signing" not in found or "tokens" not in found:
        made = _made(seal, clock.now(), entropy)
        with database.unit() as unit:
            unit.execute(sa.delete(keys))
            unit.connection.execute(sa.insert(keys), made)
        return open_keys(database, seal, clock, entropy)
    pem = seal.open(found["signing"].sealed, _context("signing"))
    private = serialization.load_pem_private_key(pem, None)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise IntegrityError("the signing key of SNS is not an RSA key")
    certificate = found["signing"].certificate.encode()
    name = f"SimpleNotificationService-{hashlib.sha256(certificate).hexdigest()[:32]}.pem"
    token_key = seal.open(found["tokens"].sealed, _context("tokens"))
    return SigningKey(private, certificate, name), Tokens(token_key)


def _made(seal: Seal, now: datetime, entropy: Entropy) -> list[dict[str, object]]:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate = _certificate(private, now).public_bytes(serialization.Encoding.PEM).decode()
    token_key = entropy.token(_TOKEN_KEY_BYTES)
    return [
        {"name": "signing", "sealed": seal.seal(pem, _context("signing")), "certificate": certificate},
        {"name": "tokens", "sealed": seal.seal(token_key, _context("tokens")), "certificate": ""},
    ]


def _certificate(private: rsa.RSAPrivateKey, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "OpenTrail SNS message signing")])
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .sign(private, hashes.SHA256())
    )


def _context(name: str) -> str:
    return f"sns key {name}"
