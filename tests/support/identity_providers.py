"""Identity providers for tests: one that issues OpenID Connect ID tokens, one that issues SAML assertions."""

import json
import uuid
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from lxml import etree  # type: ignore[import-untyped]  # lxml ships no types
from signxml import methods
from signxml.signer import XMLSigner

ISSUER = "https://idp.example.test"
CLIENT = "an-application"
ENTITY = "https://saml.example.test/metadata"
SIGN_IN = "https://signin.aws.amazon.com/saml"
_ROLE = "https://aws.amazon.com/SAML/Attributes/Role"
_SESSION_NAME = "https://aws.amazon.com/SAML/Attributes/RoleSessionName"


@dataclass(frozen=True)
class OpenIdProvider:
    """An issuer with one RSA key."""

    key: rsa.RSAPrivateKey

    @classmethod
    def new(cls) -> "OpenIdProvider":
        """An issuer with a fresh key."""
        return cls(rsa.generate_private_key(public_exponent=65537, key_size=2048))

    def write_keys(self, path: Path) -> Path:
        """Write the public keys as a JSON Web Key Set."""
        described: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        path.write_text(json.dumps({"keys": [described | {"kid": "k1", "use": "sig"}]}))
        return path

    def token(self, subject: str, **claims: Any) -> str:
        """An ID token that is good for ten minutes."""
        now = datetime.now(UTC)
        content = {"iss": ISSUER, "aud": CLIENT, "sub": subject, "iat": now, "exp": now + timedelta(minutes=10)}
        return jwt.encode(content | claims, self.key, algorithm="RS256", headers={"kid": "k1"})


@dataclass(frozen=True)
class SamlIdentityProvider:
    """A provider with one certificate."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @classmethod
    def new(cls) -> "SamlIdentityProvider":
        """A provider with a fresh self-signed certificate."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "saml.example.test")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)

    @property
    def metadata(self) -> str:
        """The metadata document that IAM is given."""
        der = b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode()
        return (
            f'<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{ENTITY}">'
            '<IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">'
            '<KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data>'
            f"<X509Certificate>{der}</X509Certificate></X509Data></KeyInfo></KeyDescriptor>"
            '<SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" '
            'Location="https://saml.example.test/sso"/></IDPSSODescriptor></EntityDescriptor>'
        )

    def assertion(self, subject: str, role_arn: str, provider_arn: str) -> str:
        """A signed response for one role, in base64."""
        now = datetime.now(UTC)
        later, stamp = f"{now + timedelta(minutes=4):%Y-%m-%dT%H:%M:%SZ}", f"{now:%Y-%m-%dT%H:%M:%SZ}"
        document = _RESPONSE.format(
            response_id=f"_{uuid.uuid4().hex}",
            assertion_id=f"_{uuid.uuid4().hex}",
            stamp=stamp,
            later=later,
            entity=ENTITY,
            subject=subject,
            sign_in=SIGN_IN,
            role_name=_ROLE,
            pair=f"{role_arn},{provider_arn}",
            session_name=_SESSION_NAME,
        )
        root = etree.fromstring(document)
        inner = root.find("{urn:oasis:names:tc:SAML:2.0:assertion}Assertion")
        signer = XMLSigner(method=methods.enveloped, c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#")
        pem = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        cert = self.certificate.public_bytes(serialization.Encoding.PEM)
        signed = signer.sign(inner, key=pem, cert=cert.decode(), reference_uri=inner.get("ID"), id_attribute="ID")
        root.replace(inner, signed)
        return b64encode(etree.tostring(root)).decode()


_RESPONSE = (
    '<p:Response xmlns:p="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:a="urn:oasis:names:tc:SAML:2.0:assertion" '
    'ID="{response_id}" Version="2.0" IssueInstant="{stamp}" Destination="{sign_in}">'
    '<p:Status><p:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></p:Status>'
    '<a:Assertion ID="{assertion_id}" Version="2.0" IssueInstant="{stamp}"><a:Issuer>{entity}</a:Issuer>'
    '<a:Subject><a:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">{subject}</a:NameID>'
    '<a:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">'
    '<a:SubjectConfirmationData NotOnOrAfter="{later}" Recipient="{sign_in}"/></a:SubjectConfirmation></a:Subject>'
    '<a:Conditions NotOnOrAfter="{later}"><a:AudienceRestriction><a:Audience>{sign_in}</a:Audience>'
    "</a:AudienceRestriction></a:Conditions><a:AttributeStatement>"
    '<a:Attribute Name="{role_name}"><a:AttributeValue>{pair}</a:AttributeValue></a:Attribute>'
    '<a:Attribute Name="{session_name}"><a:AttributeValue>{subject}</a:AttributeValue></a:Attribute>'
    "</a:AttributeStatement></a:Assertion></p:Response>"
)
