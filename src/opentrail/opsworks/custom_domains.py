"""A server's own domain name, with the certificate and key that its clients are shown there.

Pure but for the seal. Rules: opsworks-cm fact sheet 3 and 4 (CreateServer). The key is stored sealed, and no message
repeats any of the three.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import NameOID

from opentrail.errors import ApiError
from opentrail.opsworks.keys import MIN_BITS
from opentrail.state.sealing import Seal

MEMBERS = ("CustomDomain", "CustomCertificate", "CustomPrivateKey")
LONGEST_CHAIN = 10
_PEM_END = re.compile(r"-----END CERTIFICATE-----")


@dataclass(frozen=True, slots=True)
class CustomDomain:
    """The name in lower case, the certificate chain (PEM, the leaf first), and the leaf's private key (PEM)."""

    domain: str
    certificate: str
    private_key: str = field(repr=False)


def read_custom_domain(request: Mapping[str, Any], now: datetime) -> CustomDomain | None:
    """The custom domain of a CreateServer request; None where it asks for none.

    Raises ApiError ValidationException where one or two of the three members are missing, the certificate is not X.509,
    not valid now, not for the domain or not of the key, or its chain is broken.
    """
    given = [request.get(member) for member in MEMBERS]
    if all(value is None for value in given):
        return None
    if any(value is None for value in given):
        raise _invalid(f"{', '.join(MEMBERS[:-1])} and {MEMBERS[-1]} must be given together or not at all")
    domain, certificate, private_key = (str(value) for value in given)
    chain = _chain(certificate)
    _check_validity(chain, now)
    _check_links(chain)
    if not _names(chain[0], domain.lower()):
        raise _invalid("CustomCertificate is not for CustomDomain: no subject alternative name or CN matches")
    if _spki(_private_key(private_key).public_key()) != _spki(chain[0].public_key()):
        raise _invalid("CustomPrivateKey is not the key of CustomCertificate")
    return CustomDomain(domain.lower(), certificate, private_key)


def seal_private_key(seal: Seal, server_id: str, custom: CustomDomain) -> bytes:
    """The key in the form that may be stored."""
    return seal.seal(custom.private_key.encode("utf-8"), _context(server_id))


def open_private_key(seal: Seal, server_id: str, sealed: bytes) -> str:
    """The key again. Raises IntegrityError where it was changed, moved, or sealed with another key."""
    return seal.open(sealed, _context(server_id)).decode("utf-8")


def _context(server_id: str) -> str:
    return f"opsworks-cm/{server_id}/custom-private-key"


def _chain(text: str) -> Sequence[x509.Certificate]:
    try:
        if len(_PEM_END.findall(text)) > LONGEST_CHAIN:
            raise _invalid(f"CustomCertificate has more than {LONGEST_CHAIN} certificates")
        chain = x509.load_pem_x509_certificates(text.encode("utf-8"))
        _spki(chain[0].public_key())
    except (ValueError, UnsupportedAlgorithm):
        raise _invalid("CustomCertificate must be an X.509 certificate, or a chain of them, in PEM form") from None
    return chain


def _check_validity(chain: Sequence[x509.Certificate], now: datetime) -> None:
    for certificate in chain:
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise _invalid("CustomCertificate is not valid at this time")


def _check_links(chain: Sequence[x509.Certificate]) -> None:
    for certificate, issuer in pairwise(chain):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            raise _invalid("CustomCertificate: each certificate must be followed by the one that issued it") from None


def _names(leaf: x509.Certificate, domain: str) -> bool:
    """Whether a certificate is for a domain: by its DNS names or, where it has none, by its CN."""
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = extension.value.get_values_for_type(x509.DNSName)
    except (x509.ExtensionNotFound, ValueError):
        names = []
    if not names:
        names = [str(name.value) for name in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    parent = domain.partition(".")[2]
    return any(name.lower() == domain or ("." in parent and name.lower() == f"*.{parent}") for name in names)


def _private_key(text: str) -> PrivateKeyTypes:
    try:
        key = serialization.load_pem_private_key(text.encode("utf-8"), None)
    except TypeError:
        raise _invalid("CustomPrivateKey must not be encrypted") from None
    except (ValueError, UnsupportedAlgorithm):
        raise _invalid("CustomPrivateKey must be a private key in PEM form") from None
    if isinstance(key, ec.EllipticCurvePrivateKey) or (isinstance(key, rsa.RSAPrivateKey) and key.key_size >= MIN_BITS):
        return key
    raise _invalid(f"CustomPrivateKey must be an RSA key of at least {MIN_BITS} bits or an elliptic curve key")


def _spki(key: Any) -> bytes:
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_bytes(encoding, form))


def _invalid(message: str) -> ApiError:
    return ApiError("ValidationException", message)
