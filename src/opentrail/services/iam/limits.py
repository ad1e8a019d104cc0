"""IAM's quotas, with the defaults of an AWS account (IAM User Guide, "IAM and AWS STS quotas")."""

from opentrail.identity.iam_entities import Kind
from opentrail.identity.policy import MAX_INLINE_GROUP_CHARS, MAX_INLINE_ROLE_CHARS, MAX_INLINE_USER_CHARS

ENTITIES = {
    Kind.USER: ("UsersPerAccount", 5000),
    Kind.GROUP: ("GroupsPerAccount", 300),
    Kind.ROLE: ("RolesPerAccount", 1000),
}
INLINE_CHARS = {
    Kind.USER: MAX_INLINE_USER_CHARS,
    Kind.GROUP: MAX_INLINE_GROUP_CHARS,
    Kind.ROLE: MAX_INLINE_ROLE_CHARS,
}
ATTACHED_POLICIES = 10
POLICIES = 1500
VERSIONS = 5
GROUPS_PER_USER = 10
ACCESS_KEYS = 2
MFA_DEVICES_PER_USER = 8
TAGS = 50
INSTANCE_PROFILES = 1000
OIDC_PROVIDERS = 100
CLIENT_IDS = 100
THUMBPRINTS = 5
SAML_PROVIDERS = 100
