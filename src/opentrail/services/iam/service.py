"""The service object that the dispatcher asks: every operation of IAM that OpenTrail answers."""

from opentrail.clock import Clock, Entropy
from opentrail.identity.store import Identities
from opentrail.services.iam.absent import AbsentOperations
from opentrail.services.iam.access_keys import AccessKeyOperations
from opentrail.services.iam.account import AccountOperations
from opentrail.services.iam.entity_policies import PolicyOperations
from opentrail.services.iam.groups import GroupOperations
from opentrail.services.iam.instance_profiles import InstanceProfileOperations
from opentrail.services.iam.login_profiles import LoginProfileOperations
from opentrail.services.iam.managed_policies import ManagedPolicyOperations
from opentrail.services.iam.mfa import MfaOperations
from opentrail.services.iam.parts import Parts
from opentrail.services.iam.providers import ProviderOperations
from opentrail.services.iam.roles import RoleOperations
from opentrail.services.iam.tagging import TagOperations
from opentrail.services.iam.users import UserOperations


class IamService(
    UserOperations,
    GroupOperations,
    RoleOperations,
    PolicyOperations,
    ManagedPolicyOperations,
    AccessKeyOperations,
    LoginProfileOperations,
    MfaOperations,
    ProviderOperations,
    InstanceProfileOperations,
    AccountOperations,
    TagOperations,
    AbsentOperations,
):
    """Handlers by API name are found with ``services.operation.handlers_of``."""

    def __init__(self, identities: Identities, clock: Clock, entropy: Entropy) -> None:
        """``identities`` is the store; its directory shows each change once it is committed."""
        self.parts = Parts(identities, clock, entropy)
