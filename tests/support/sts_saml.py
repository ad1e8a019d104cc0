"""A SAML identity provider for tests: keys, metadata, and responses that are really signed."""

import base64
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree  # type: ignore[import-untyped]  # lxml ships no types
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.signer import XMLSigner

from tests.support.sts_world import HERE, NOON

PROVIDER = f"arn:aws:iam::{HERE}:saml-provider/Corp"
ROLE = f"arn:aws:iam::{HERE}:role/staff"
ENTITY = "https://idp.example.com/saml"
NAMESPACES = 'xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"'
SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"


def certificate(key: rsa.RSAPrivateKey, days: int = 3650) -> x509.Certificate:
    """A certificate of a key's own."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "idp")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    begins = NOON - timedelta(days=1)
    return builder.not_valid_before(begins).not_valid_after(begins + timedelta(days=days)).sign(key, SHA256())


KEY, OTHER_KEY = (rsa.generate_private_key(65537, 2048) for _ in range(2))
CERTIFICATE, OTHER_CERTIFICATE = certificate(KEY), certificate(OTHER_KEY)


def metadata(*certificates: x509.Certificate) -> str:
    """A provider's metadata document."""
    keys = "".join(
        f'<KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>'
        f"{base64.b64encode(item.public_bytes(Encoding.DER)).decode()}"
        f"</ds:X509Certificate></ds:X509Data></ds:KeyInfo></KeyDescriptor>"
        for item in certificates
    )
    return (
        f'<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{ENTITY}"'
        f' xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><IDPSSODescriptor>{keys}</IDPSSODescriptor></EntityDescriptor>'
    )


def at(moment: datetime) -> str:
    """A time as SAML writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def attribute(name: str, *values: str) -> str:
    """An attribute of AWS's."""
    inner = "".join(f"<saml:AttributeValue>{value}</saml:AttributeValue>" for value in values)
    return f'<saml:Attribute Name="https://aws.amazon.com/SAML/Attributes/{name}">{inner}</saml:Attribute>'


def response(*more: str, now: datetime = NOON) -> str:
    """A response that grants one role, unsigned; ``more`` are further attributes."""
    soon = at(now + timedelta(minutes=5))
    return f"""<samlp:Response {NAMESPACES} ID="_r1" Version="2.0" IssueInstant="{at(now)}">
<saml:Issuer>{ENTITY}</saml:Issuer>
<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>
<saml:Assertion ID="_a1" Version="2.0" IssueInstant="{at(now)}"><saml:Issuer>{ENTITY}</saml:Issuer>
<saml:Subject><saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">alice@corp</saml:NameID>
<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">
<saml:SubjectConfirmationData NotOnOrAfter="{soon}" Recipient="https://signin.aws.amazon.com/saml"/>
</saml:SubjectConfirmation></saml:Subject>
<saml:Conditions NotBefore="{at(now - timedelta(seconds=5))}" NotOnOrAfter="{soon}"><saml:AudienceRestriction>
<saml:Audience>urn:amazon:webservices</saml:Audience></saml:AudienceRestriction></saml:Conditions>
<saml:AuthnStatement AuthnInstant="{at(now)}" SessionNotOnOrAfter="{at(now + timedelta(hours=8))}"/>
<saml:AttributeStatement>{attribute("Role", f"{ROLE},{PROVIDER}")}{attribute("RoleSessionName", "alice")}
{"".join(more)}</saml:AttributeStatement></saml:Assertion></samlp:Response>"""


def signed(
    text: str, *, whole: bool = False, key: rsa.RSAPrivateKey = KEY, method: Any = SignatureMethod.RSA_SHA256
) -> Any:
    """A response whose assertion (or which itself) is signed."""
    root = etree.fromstring(text)
    target = root if whole else root.find(f"{SAML}Assertion")
    signer = XMLSigner(
        signature_algorithm=method,
        digest_algorithm=DigestAlgorithm.SHA256,
        c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#",
    )
    own = OTHER_CERTIFICATE if key is OTHER_KEY else CERTIFICATE
    made = signer.sign(target, key=key, cert=[own], reference_uri=target.get("ID"), id_attribute="ID")
    if whole:
        return made
    target.getparent().replace(target, made)
    return root


def encoded(root: Any) -> str:
    """A document as a request carries it."""
    return base64.b64encode(root if isinstance(root, bytes) else etree.tostring(root)).decode()
