"""The XML documents of S3 that we read or write ourselves. Pure.

Rules. What we decided about is what goes on: a list of objects to delete is written anew from what was read, so that no
two parsers can disagree on it.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree.ElementTree import Element

from opentrail.aws.protocols.s3_errors import s3_error
from opentrail.aws.protocols.s3_xml import children, document, element, local_name, read, text_of
from opentrail.identity.buckets import canonical_user_id
from opentrail.identity.public_access import SETTINGS, PublicAccessBlock

MAX_DELETED = 1000
_REGION = re.compile(r"[a-z]{2,8}(-[a-z]{2,16}){1,3}-[0-9]{1,2}")


@dataclass(frozen=True, slots=True)
class Deletion:
    """What a DeleteObjects asks for: keys with version ids (empty: none)."""

    objects: tuple[tuple[str, str], ...]
    quiet: bool

    def to_xml(self) -> bytes:
        """The same request, written by us."""
        inside = element("Quiet", "true") if self.quiet else ""
        for key, version_id in self.objects:
            version = element("VersionId", version_id) if version_id else ""
            inside += f"<Object>{element('Key', key)}{version}</Object>"
        return document("Delete", inside)

    def to_record(self) -> dict[str, object]:
        """What the event record shows of it."""
        shown = [{"Key": key} | ({"VersionId": version} if version else {}) for key, version in self.objects]
        return {"Delete": {"Object": shown}}


def read_deletion(body: bytes) -> Deletion:
    """Read a DeleteObjects request. Raises ApiError MalformedXML, also for members that we would drop silently."""
    root = _root(body, "Delete")
    objects: list[tuple[str, str]] = []
    for node in children(root, "Object"):
        names = [local_name(child) for child in node]
        if len(set(names)) != len(names) or set(names) - {"Key", "VersionId"} or not text_of(node, "Key"):
            raise s3_error("MalformedXML")
        objects.append((text_of(node, "Key") or "", text_of(node, "VersionId") or ""))
    if not 1 <= len(objects) <= MAX_DELETED:
        raise s3_error("MalformedXML")
    return Deletion(tuple(objects), (text_of(root, "Quiet") or "").strip().lower() == "true")


def read_location_constraint(body: bytes) -> str:
    """The region that a CreateBucket asks for; us-east-1 where it names none. Raises ApiError."""
    if not body.strip():
        return "us-east-1"
    text = (text_of(_root(body, "CreateBucketConfiguration"), "LocationConstraint") or "").strip()
    region = {"": "us-east-1", "EU": "eu-west-1"}.get(text, text)
    if _REGION.fullmatch(region) is None:
        raise s3_error("InvalidLocationConstraint")
    return region


def read_bucket_names(body: bytes) -> list[str]:
    """The names in another server's ListBuckets answer. Raises ValueError where it is none."""
    listed = next(children(read(body), "Buckets"), None)
    found = [text_of(bucket, "Name") for bucket in children(listed, "Bucket")] if listed is not None else []
    return [name for name in found if name]


def list_buckets(account_id: str, buckets: Sequence[tuple[str, datetime, str]], parameters: Mapping[str, str]) -> bytes:
    """The answer to ListBuckets. ``buckets``: name, creation time and region, in name order.

    Raises ApiError InvalidArgument for a page size or token that is none.
    """
    prefix, region = parameters.get("prefix", ""), parameters.get("bucket-region", "")
    after = _name_in(parameters.get("continuation-token", ""))
    size = parameters.get("max-buckets", "10000")
    if not (size.isascii() and size.isdecimal() and len(size) <= 5 and 1 <= int(size) <= 10_000):
        raise s3_error("InvalidArgument", "Argument max-buckets must be an integer between 1 and 10000")
    found = [
        (name, created_at, place)
        for name, created_at, place in buckets
        if name.startswith(prefix) and name > after and region in ("", place)
    ]
    page = found[: int(size)]
    listed = "".join(
        f"<Bucket>{element('Name', name)}{element('CreationDate', _stamp(created_at))}"
        f"{element('BucketRegion', place)}</Bucket>"
        for name, created_at, place in page
    )
    inside = f"{_owner(account_id)}<Buckets>{listed}</Buckets>"
    if prefix:
        inside += element("Prefix", prefix)
    if len(found) > len(page):
        inside += element("ContinuationToken", base64.urlsafe_b64encode(page[-1][0].encode()).decode())
    return document("ListAllMyBucketsResult", inside)


def location(region: str) -> bytes:
    """The answer to GetBucketLocation; us-east-1 has an empty name here."""
    inside = "" if region == "us-east-1" else region
    return document("LocationConstraint", inside)


def owner_acl(account_id: str) -> bytes:
    """The answer to GetBucketAcl: the owner may do everything, nobody else is granted anything by ACL."""
    grantee = (
        '<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">'
        + element("ID", canonical_user_id(account_id))
        + "</Grantee>"
    )
    grant = f"<Grant>{grantee}<Permission>FULL_CONTROL</Permission></Grant>"
    return document("AccessControlPolicy", f"{_owner(account_id)}<AccessControlList>{grant}</AccessControlList>")


def policy_status(*, is_public: bool) -> bytes:
    """The answer to GetBucketPolicyStatus."""
    return document("PolicyStatus", element("IsPublic", "true" if is_public else "false"))


def access_block(block: PublicAccessBlock) -> bytes:
    """The answer to GetPublicAccessBlock."""
    on = block.names()
    inside = "".join(element(name, "true" if name in on else "false") for name in SETTINGS)
    return document("PublicAccessBlockConfiguration", inside)


def read_access_block(body: bytes) -> PublicAccessBlock:
    """The settings of a PutPublicAccessBlock; those that it does not name are off. Raises ApiError MalformedXML."""
    root = _root(body, "PublicAccessBlockConfiguration")
    found: dict[str, str] = {}
    for node in root:
        name, text = local_name(node), (node.text or "").strip().lower()
        if name not in SETTINGS or name in found or len(node) or text not in ("true", "false"):
            raise s3_error("MalformedXML")
        found[name] = text
    return PublicAccessBlock.of(name for name, text in found.items() if text == "true")


def outside_of(bucket: str, resources: Iterable[str]) -> bool:
    """Whether a policy's resources name anything but the bucket and its objects."""
    arn = f"arn:aws:s3:::{bucket}"
    return any(resource != arn and not resource.startswith(f"{arn}/") for resource in resources)


def _root(body: bytes, name: str) -> Element:
    try:
        root = read(body)
    except ValueError:
        raise s3_error("MalformedXML") from None
    if local_name(root) != name:
        raise s3_error("MalformedXML")
    return root


def _owner(account_id: str) -> str:
    return f"<Owner>{element('ID', canonical_user_id(account_id))}</Owner>"


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _name_in(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token.encode()).decode()
    except (binascii.Error, ValueError):
        raise s3_error("InvalidArgument", "The continuation token provided is incorrect") from None
