"""The S3 API as a table: which method on which sub-resource is which operation, event and IAM action.

Rules: the operation names are the model's; a test holds every row against it. The event name differs from the
operation's where CloudTrail's does (cloudtrail fact sheet 12.2; list of bucket-level and object-level actions in
the Amazon S3 User Guide, "Amazon S3 CloudTrail events"). Bucket-level calls are management events, object-level
calls and what lists objects are data events; HeadBucket is a data event. IAM actions are those of the Service
Authorization Reference.
"""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """What the address names."""

    SERVICE = "service"
    BUCKET = "bucket"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class S3Operation:
    """One row: ``operation`` by the API's name, ``event_name`` by CloudTrail's, ``iam_action`` with its ``s3:`` prefix.

    ``versioned_action`` is what is needed instead where a versionId is given.
    """

    operation: str
    event_name: str
    iam_action: str
    management: bool
    versioned_action: str = ""


def _bucket(operation: str, action: str = "", event_name: str = "", *, management: bool = True) -> S3Operation:
    return S3Operation(operation, event_name or operation, f"s3:{action or operation}", management)


def _object(operation: str, action: str = "", versioned: str = "", event_name: str = "") -> S3Operation:
    name = action or operation
    return S3Operation(
        operation, event_name or operation, f"s3:{name}", management=False, versioned_action=f"s3:{versioned or name}"
    )


_Table = dict[tuple[Level, str, str], S3Operation]

SERVICE_OPERATIONS: _Table = {(Level.SERVICE, "GET", ""): _bucket("ListBuckets", "ListAllMyBuckets")}

BUCKET_OPERATIONS: _Table = {
    (Level.BUCKET, method, selector): row
    for method, selector, row in (
        ("PUT", "", _bucket("CreateBucket")),
        ("DELETE", "", _bucket("DeleteBucket")),
        ("HEAD", "", _bucket("HeadBucket", "ListBucket", management=False)),
        ("GET", "", _bucket("ListObjects", "ListBucket", management=False)),
        ("GET", "list-type", _bucket("ListObjectsV2", "ListBucket", "ListObjects", management=False)),
        ("GET", "versions", _bucket("ListObjectVersions", "ListBucketVersions", management=False)),
        ("GET", "uploads", _bucket("ListMultipartUploads", "ListBucketMultipartUploads", management=False)),
        ("POST", "delete", _bucket("DeleteObjects", "DeleteObject", management=False)),
        ("OPTIONS", "", _bucket("PreflightRequest")),
        ("GET", "location", _bucket("GetBucketLocation")),
        ("GET", "policyStatus", _bucket("GetBucketPolicyStatus")),
    )
}

# Configurations that are read, written and removed at the same address. The columns: sub-resource, the API's noun,
# CloudTrail's noun, IAM's noun, and which of GET, PUT and DELETE exist.
_CONFIGURATIONS = (
    ("accelerate", "BucketAccelerateConfiguration", "AccelerateConfiguration", "AccelerateConfiguration", "GP"),
    ("acl", "BucketAcl", "BucketAcl", "BucketAcl", "GP"),
    ("analytics", "BucketAnalyticsConfiguration", "BucketAnalyticsConfiguration", "AnalyticsConfiguration", "GPD"),
    ("cors", "BucketCors", "BucketCors", "BucketCORS", "GPD"),
    ("encryption", "BucketEncryption", "BucketEncryption", "EncryptionConfiguration", "GPD"),
    (
        "intelligent-tiering",
        "BucketIntelligentTieringConfiguration",
        "BucketIntelligentTieringConfiguration",
        "IntelligentTieringConfiguration",
        "GPD",
    ),
    ("inventory", "BucketInventoryConfiguration", "BucketInventoryConfiguration", "InventoryConfiguration", "GPD"),
    ("lifecycle", "BucketLifecycleConfiguration", "BucketLifecycle", "LifecycleConfiguration", "GPD"),
    ("logging", "BucketLogging", "BucketLogging", "BucketLogging", "GP"),
    ("metrics", "BucketMetricsConfiguration", "BucketMetricsConfiguration", "MetricsConfiguration", "GPD"),
    ("notification", "BucketNotificationConfiguration", "BucketNotification", "BucketNotification", "GP"),
    ("object-lock", "ObjectLockConfiguration", "BucketObjectLockConfiguration", "BucketObjectLockConfiguration", "GP"),
    ("ownershipControls", "BucketOwnershipControls", "BucketOwnershipControls", "BucketOwnershipControls", "GPD"),
    ("policy", "BucketPolicy", "BucketPolicy", "BucketPolicy", "GPD"),
    ("publicAccessBlock", "PublicAccessBlock", "BucketPublicAccessBlock", "BucketPublicAccessBlock", "GPD"),
    ("replication", "BucketReplication", "BucketReplication", "ReplicationConfiguration", "GPD"),
    ("requestPayment", "BucketRequestPayment", "BucketRequestPayment", "BucketRequestPayment", "GP"),
    ("tagging", "BucketTagging", "BucketTagging", "BucketTagging", "GPD"),
    ("versioning", "BucketVersioning", "BucketVersioning", "BucketVersioning", "GP"),
    ("website", "BucketWebsite", "BucketWebsite", "BucketWebsite", "GPD"),
)

# Configurations whose removal has an IAM action of its own; for the others removing needs what writing needs.
_DELETE_ACTIONS = {"policy": "s3:DeleteBucketPolicy", "website": "s3:DeleteBucketWebsite"}

# Addressed without ``id`` these list all configurations; IAM knows one action for both.
_LISTED = ("analytics", "intelligent-tiering", "inventory", "metrics")


def _configurations() -> _Table:
    rows: _Table = {}
    for selector, noun, event_noun, iam_noun, methods in _CONFIGURATIONS:
        rows[Level.BUCKET, "GET", selector] = _bucket(f"Get{noun}", f"Get{iam_noun}", f"Get{event_noun}")
        if "P" in methods:
            rows[Level.BUCKET, "PUT", selector] = _bucket(f"Put{noun}", f"Put{iam_noun}", f"Put{event_noun}")
        if "D" in methods:
            operation = "DeleteBucketLifecycle" if selector == "lifecycle" else f"Delete{noun}"
            action = _DELETE_ACTIONS.get(selector, f"s3:Put{iam_noun}").removeprefix("s3:")
            rows[Level.BUCKET, "DELETE", selector] = _bucket(operation, action, f"Delete{event_noun}")
    return rows


LIST_CONFIGURATIONS: dict[str, S3Operation] = {
    selector: _bucket(f"List{noun}s", f"Get{iam_noun}")
    for selector, noun, _, iam_noun, _ in _CONFIGURATIONS
    if selector in _LISTED
}

OBJECT_OPERATIONS: _Table = {
    (Level.OBJECT, method, selector): row
    for method, selector, row in (
        ("GET", "", _object("GetObject", versioned="GetObjectVersion")),
        ("HEAD", "", _object("HeadObject", "GetObject", "GetObjectVersion")),
        ("PUT", "", _object("PutObject")),
        ("DELETE", "", _object("DeleteObject", versioned="DeleteObjectVersion")),
        # A preflight asks for the bucket's CORS configuration and counts as bucket-level (User Guide, as above).
        ("OPTIONS", "", _bucket("PreflightRequest")),
        ("POST", "uploads", _object("CreateMultipartUpload", "PutObject")),
        ("PUT", "uploadId", _object("UploadPart", "PutObject")),
        ("POST", "uploadId", _object("CompleteMultipartUpload", "PutObject")),
        ("DELETE", "uploadId", _object("AbortMultipartUpload")),
        ("GET", "uploadId", _object("ListParts", "ListMultipartUploadParts")),
        ("GET", "acl", _object("GetObjectAcl", versioned="GetObjectVersionAcl")),
        ("PUT", "acl", _object("PutObjectAcl", versioned="PutObjectVersionAcl")),
        ("GET", "tagging", _object("GetObjectTagging", versioned="GetObjectVersionTagging")),
        ("PUT", "tagging", _object("PutObjectTagging", versioned="PutObjectVersionTagging")),
        ("DELETE", "tagging", _object("DeleteObjectTagging", versioned="DeleteObjectVersionTagging")),
        ("GET", "attributes", _object("GetObjectAttributes", versioned="GetObjectVersionAttributes")),
        ("GET", "legal-hold", _object("GetObjectLegalHold")),
        ("PUT", "legal-hold", _object("PutObjectLegalHold")),
        ("GET", "retention", _object("GetObjectRetention")),
        ("PUT", "retention", _object("PutObjectRetention")),
        ("GET", "torrent", _object("GetObjectTorrent", versioned="GetObjectVersionTorrent")),
        ("POST", "restore", _object("RestoreObject")),
        ("POST", "select", _object("SelectObjectContent", "GetObject", "GetObjectVersion")),
    )
}

COPY_OBJECT = _object("CopyObject", "PutObject")
UPLOAD_PART_COPY = _object("UploadPartCopy", "PutObject")

OPERATIONS: _Table = {**SERVICE_OPERATIONS, **BUCKET_OPERATIONS, **_configurations(), **OBJECT_OPERATIONS}

NOT_SERVED = frozenset(
    {"abac", "annotation", "metadataAnnotationTable", "metadataConfiguration", "metadataInventoryTable"}
    | {"metadataJournalTable", "metadataTable", "renameObject", "session"}
)
"""Sub-resources that AWS has and this gateway does not serve; they are known so that they are refused, not mistaken."""

SELECTORS = frozenset(selector for _, _, selector in OPERATIONS if selector) | NOT_SERVED
"""Every query name that chooses an operation."""
