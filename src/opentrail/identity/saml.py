"""SAML 2.0: the response that an identity provider's user brings along, verified against the provider's metadata.

Rules (AssumeRoleWithSAML; SAML 2.0 core and Web SSO profile). No document type, entity or network access, ever. The
signature, on the assertion or on the whole response, must be by a signing certificate of the provider's metadata; the
certificate in the message counts for nothing. Only what the signature covers is read, from the bytes that were
verified, so that wrapping and comments do not help anybody. One assertion, not encrypted. Nothing here does I/O.
"""

import binascii
import hashlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from lxml import etree  # type: ignore[import-untyped]  # lxml ships no types
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, XMLVerifier

from opentrail.errors import ApiError

MAX_ASSERTION_CHARS = 100_000
MAX_METADATA_CHARS = 10_000_000
"""IAM's limit of a metadata document."""

MAX_AGE_S = 300
"""An assertion must be used within five minutes of being issued."""

SKEW_S = 60
SIGN_IN = "https://signin.aws.amazon.com/saml"
"""Where AWS takes assertions: the recipient, and the audience, that they are meant for."""

_ASSERTION = "urn:oasis:names:tc:SAML:2.0:assertion"
_PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
_METADATA = "urn:oasis:names:tc:SAML:2.0:metadata"
_DSIG = "http://www.w3.org/2000/09/xmldsig#"
_SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
_BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
_FORMAT_PREFIX = "urn:oasis:names:tc:SAML:2.0:nameid-format:"
_ATTRIBUTES = "https://aws.amazon.com/SAML/Attributes/"
_METHODS = frozenset(
    method for method in SignatureMethod if method.name.startswith(("RSA_", "ECDSA_")) and "SHA1" not in method.name
)
_DIGESTS = frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})


@dataclass(frozen=True, slots=True)
class Metadata:
    """What of a provider's metadata document counts here: its name, and the certificates it signs with."""

    entity_id: str
    certificates: tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True)
class Assertion:
    """A verified assertion. ``attributes`` have AWS's prefix removed; every other attribute is dropped.

    ``session_ends_at``: when the provider's own session ends, which ours may not outlive; None where it says nothing.
    """

    assertion_id: str
    issuer: str
    subject: str
    subject_type: str
    recipient: str
    not_on_or_after: datetime
    session_ends_at: datetime | None
    attributes: Mapping[str, tuple[str, ...]]

    def roles(self) -> set[tuple[str, str]]:
        """The pairs (role ARN, provider ARN) that the provider grants, in whichever order it wrote them."""
        found = set()
        for text in self.attributes.get("Role", ()):
            pair = [part.strip() for part in text.split(",")]
            if len(pair) == 2:
                found.add((pair[1], pair[0]) if ":saml-provider/" in pair[0] else (pair[0], pair[1]))
        return found

    def single(self, name: str) -> str | None:
        """The value of an attribute that has one; None where it is absent.

        Raises ApiError InvalidIdentityToken for several values.
        """
        values = self.attributes.get(name, ())
        if len(values) > 1:
            raise _invalid(f"the attribute {name} has more than one value")
        return values[0].strip() if values else None

    def tags(self) -> tuple[tuple[str, str], ...]:
        """Session tags: the attributes ``PrincipalTag:KEY``."""
        names = [name for name in self.attributes if name.startswith("PrincipalTag:")]
        return tuple((name.removeprefix("PrincipalTag:"), self.single(name) or "") for name in names)

    def transitive_tag_keys(self) -> tuple[str, ...]:
        """The keys of session tags that go on when roles are chained."""
        return self.attributes.get("TransitiveTagKeys", ())


def name_qualifier(issuer: str, account_id: str, provider_name: str) -> str:
    """The hash by which STS and CloudTrail name a provider: stable, and the same in every record of its users."""
    text = f"{issuer}{account_id}/{provider_name}".encode()
    return b64encode(hashlib.sha1(text, usedforsecurity=False).digest()).decode()


def read_metadata(text: str) -> Metadata:
    """Read a provider's metadata document. Raises ValueError where it names no issuer or no signing certificate."""
    if len(text) > MAX_METADATA_CHARS:
        raise ValueError("the metadata document is too large")
    root = _parse(text.encode("utf-8", "replace"))
    entity = (
        root if root.tag == f"{{{_METADATA}}}EntityDescriptor" else root.find(f".//{{{_METADATA}}}EntityDescriptor")
    )
    if entity is None or not entity.get("entityID"):
        raise ValueError("the metadata document names no entity")
    certificates: list[x509.Certificate] = []
    for key in entity.iterfind(f"{{{_METADATA}}}IDPSSODescriptor/{{{_METADATA}}}KeyDescriptor"):
        if key.get("use", "signing") == "signing":
            certificates.extend(
                _certificate(found.text or "") for found in key.iterfind(f".//{{{_DSIG}}}X509Certificate")
            )
    if not certificates:
        raise ValueError("the metadata document has no signing certificate")
    return Metadata(entity.get("entityID"), tuple(certificates))


def verify(encoded: str, metadata: Metadata, accepted: frozenset[str], now: datetime) -> Assertion:
    """Verify a response in base64. ``accepted``: the audiences and recipients that mean us.

    Raises ApiError InvalidIdentityToken, IDPRejectedClaim where the provider reports a failure, or
    ExpiredTokenException for a genuine one past its time.
    """
    if len(encoded) > MAX_ASSERTION_CHARS:
        raise _invalid("it is too large")
    try:
        root = _parse(b64decode("".join(encoded.split()), validate=True))
    except (binascii.Error, ValueError):
        raise ApiError("InvalidIdentityToken", "Invalid base64 SAMLResponse") from None
    assertion = _signed_assertion(root, metadata, now)
    if _text(assertion, "Issuer") != metadata.entity_id:
        raise ApiError("InvalidIdentityToken", "Issuer not present in specified provider")
    confirmation = _confirmation(assertion, accepted, now)
    _check_conditions(assertion, accepted, now)
    _check_age(assertion, now)
    name = assertion.find(f"{{{_ASSERTION}}}Subject/{{{_ASSERTION}}}NameID")
    if name is None or not (name.text or "").strip() or not assertion.get("ID"):
        raise _invalid("the assertion has no subject")
    return Assertion(
        assertion_id=assertion.get("ID"),
        issuer=metadata.entity_id,
        subject=name.text.strip(),
        subject_type=name.get("Format", "").removeprefix(_FORMAT_PREFIX),
        recipient=confirmation.get("Recipient"),
        not_on_or_after=_time(confirmation.get("NotOnOrAfter")),
        session_ends_at=_session_end(assertion),
        attributes=_attributes(assertion),
    )


def _parse(raw: bytes) -> Any:
    """An XML document's root. Raises ValueError for anything that is not plain XML without a document type."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        root = etree.fromstring(raw, parser=parser)
    except etree.XMLSyntaxError:
        raise ValueError("not an XML document") from None
    if root.getroottree().docinfo.doctype or root.getroottree().docinfo.internalDTD is not None:
        raise ValueError("an XML document with a document type")
    if next(root.iter(etree.PI, etree.Entity), None) is not None:
        raise ValueError("an XML document with instructions: they would split texts")
    return root


def _certificate(text: str) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(b64decode("".join(text.split()), validate=True))
    except (binascii.Error, ValueError):
        raise ValueError("the metadata document has a certificate that cannot be read") from None


def _signed_assertion(root: Any, metadata: Metadata, now: datetime) -> Any:
    """The assertion inside what a certificate of the provider signed; nothing of the message around it."""
    status = root.find(f"{{{_PROTOCOL}}}Status/{{{_PROTOCOL}}}StatusCode")
    if status is not None and status.get("Value") != _SUCCESS:
        raise ApiError("IDPRejectedClaim", "The identity provider reported that authentication failed", status=403)
    found = root.findall(f".//{{{_ASSERTION}}}Assertion")
    if status is None or root.tag != f"{{{_PROTOCOL}}}Response" or len(found) != 1 or found[0].getparent() is not root:
        raise _invalid("it must be one response with one assertion, which is not encrypted")
    places = [f"./{{{_ASSERTION}}}Assertion/", "./"]
    signed = [place for place in places if root.find(f"{place}{{{_DSIG}}}Signature") is not None]
    for place in signed:
        covered = _covered(root, place, metadata, now)
        if covered is not None and covered.tag == f"{{{_ASSERTION}}}Assertion":
            return covered
        inside = covered.findall(f"{{{_ASSERTION}}}Assertion") if covered is not None else []
        if covered is not None and covered.tag == root.tag and len(inside) == 1:
            return inside[0]
    raise ApiError("InvalidIdentityToken", "Response signature invalid")


def _covered(root: Any, place: str, metadata: Metadata, now: datetime) -> Any:
    """What the signature at a place covers, anew from the verified bytes; None where no certificate made it."""
    config = SignatureConfiguration(
        location=place,
        signature_methods=_METHODS,
        digest_algorithms=_DIGESTS,
        ignore_ambiguous_key_info=True,  # only our own copy of the certificate is ever used
        verification_time=now,
    )
    for certificate in metadata.certificates:
        try:
            result: Any = XMLVerifier().verify(root, x509_cert=certificate, id_attribute="ID", expect_config=config)
        # The library lets whatever a hostile document provokes in it pass through.
        except (SignXMLException, etree.LxmlError, ValueError, TypeError, KeyError, AttributeError, LookupError):
            continue
        return result.signed_xml
    return None


def _confirmation(assertion: Any, accepted: frozenset[str], now: datetime) -> Any:
    """The data of the bearer confirmation that is meant for us and still good."""
    expired = False
    for confirmation in assertion.iterfind(f"{{{_ASSERTION}}}Subject/{{{_ASSERTION}}}SubjectConfirmation"):
        data = confirmation.find(f"{{{_ASSERTION}}}SubjectConfirmationData")
        if confirmation.get("Method") != _BEARER or data is None or data.get("Recipient") not in accepted:
            continue
        if data.get("NotBefore") is not None and _time(data.get("NotBefore")) > now + timedelta(seconds=SKEW_S):
            continue
        if now < _time(data.get("NotOnOrAfter")):
            return data
        expired = True
    if expired:
        raise ApiError("ExpiredTokenException", "Response has expired")
    raise _invalid("no subject confirmation is for this recipient")


def _check_conditions(assertion: Any, accepted: frozenset[str], now: datetime) -> None:
    conditions = assertion.find(f"{{{_ASSERTION}}}Conditions")
    if conditions is None:
        raise _invalid("the assertion has no conditions")
    if conditions.get("NotOnOrAfter") is not None and now >= _time(conditions.get("NotOnOrAfter")):
        raise ApiError("ExpiredTokenException", "Response has expired")
    if conditions.get("NotBefore") is not None and _time(conditions.get("NotBefore")) > now + timedelta(seconds=SKEW_S):
        raise _invalid("the assertion is not valid yet")
    restrictions = conditions.findall(f"{{{_ASSERTION}}}AudienceRestriction")
    for restriction in restrictions:
        audiences = {(item.text or "").strip() for item in restriction.iterfind(f"{{{_ASSERTION}}}Audience")}
        if not audiences & accepted:
            raise _invalid("the assertion is for another audience")
    if not restrictions:
        raise _invalid("the assertion names no audience")


def _check_age(assertion: Any, now: datetime) -> None:
    issued = _time(assertion.get("IssueInstant"))
    if now - issued > timedelta(seconds=MAX_AGE_S):
        raise ApiError("ExpiredTokenException", "Token must be redeemed within 5 minutes of issuance")
    if issued - now > timedelta(seconds=SKEW_S):
        raise _invalid("the assertion was issued in the future")


def _session_end(assertion: Any) -> datetime | None:
    ends = [
        _time(statement.get("SessionNotOnOrAfter"))
        for statement in assertion.iterfind(f"{{{_ASSERTION}}}AuthnStatement")
        if statement.get("SessionNotOnOrAfter") is not None
    ]
    return min(ends, default=None)


def _attributes(assertion: Any) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for attribute in assertion.iterfind(f"{{{_ASSERTION}}}AttributeStatement/{{{_ASSERTION}}}Attribute"):
        name = attribute.get("Name", "")
        if name.startswith(_ATTRIBUTES):
            values = (value.text or "" for value in attribute.iterfind(f"{{{_ASSERTION}}}AttributeValue"))
            short = name.removeprefix(_ATTRIBUTES)
            found[short] = (*found.get(short, ()), *values)
    return found


def _text(parent: Any, name: str) -> str:
    child = parent.find(f"{{{_ASSERTION}}}{name}")
    return "" if child is None else (child.text or "").strip()


def _time(text: str | None) -> datetime:
    """A moment in XML Schema's form. Raises ApiError InvalidIdentityToken where there is none."""
    try:
        moment = datetime.fromisoformat(text or "")
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _invalid("a time in the assertion is missing or cannot be read") from None


def _invalid(reason: str) -> ApiError:
    return ApiError("InvalidIdentityToken", f"Your request included an invalid SAML response: {reason}")
