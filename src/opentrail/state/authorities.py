"""Certificate authorities of our own: a key that signs certificates for host names and addresses. Pure, but for the
randomness of keys and serial numbers, which is ``cryptography``'s own.

Clients trust the authority and not the leaf, so a leaf can be made anew at any time.
"""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from opentrail.errors import IntegrityError

AUTHORITY_DAYS = 3650
LEAF_DAYS = 397
_LONGEST_COMMON_NAME = 64
_EARLIER = timedelta(minutes=5)  # clocks of clients may be behind


@dataclass(frozen=True, slots=True)
class Leaf:
    """A server's certificate chain and key, both PEM, and until when it is good."""

    chain: bytes
    key: bytes
    not_after: datetime


class Authority:
    """Signs certificates of servers; ``certificate_pem`` is what clients trust."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key
        self.certificate_pem = _pem(certificate)

    @classmethod
    def new(cls, name: str, now: datetime) -> "Authority":
        """An authority of that common name with a new key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(
            digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        certificate = (
            _builder(subject, subject, key, now, now + timedelta(days=AUTHORITY_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def load(cls, certificate_pem: bytes, key_pem: bytes) -> "Authority":
        """One that was made before. Raises IntegrityError where its key is none that ``new`` makes."""
        key = serialization.load_pem_private_key(key_pem, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise IntegrityError("the key of a certificate authority is not an elliptic curve key")
        return cls(x509.load_pem_x509_certificate(certificate_pem), key)

    @property
    def key_pem(self) -> bytes:
        """Its private key, PKCS #8, in clear."""
        return _key_pem(self._key)

    def issue(self, names: tuple[str, ...], now: datetime) -> Leaf:
        """A certificate for host names and addresses, the first of which is its subject where it is short enough."""
        key = ec.generate_private_key(ec.SECP256R1())
        common = [x509.NameAttribute(NameOID.COMMON_NAME, names[0])] if len(names[0]) <= _LONGEST_COMMON_NAME else []
        not_after = min(now + timedelta(days=LEAF_DAYS), self._certificate.not_valid_after_utc)
        certificate = (
            _builder(x509.Name(common), self._certificate.subject, key, now, not_after)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=not common)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return Leaf((_pem(certificate) + self.certificate_pem).encode("ascii"), _key_pem(key), not_after)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, not_after: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(not_after)
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
