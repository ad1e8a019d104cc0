"""The service object that the dispatcher asks: every operation of CloudTrail that OpenTrail answers.

Handlers get validated requests in wire casing. Those that write decide on what their own transaction sees.
"""

from opentrail.clock import Clock, Entropy
from opentrail.organizations.store import Organizations
from opentrail.services.cloudtrail.delegated_administrators import DelegationOperations
from opentrail.services.cloudtrail.event_configuration import ConfigurationOperations
from opentrail.services.cloudtrail.event_selectors import SelectorOperations
from opentrail.services.cloudtrail.insights import InsightOperations
from opentrail.services.cloudtrail.parts import Parts, PublicKeys
from opentrail.services.cloudtrail.preflight import Preflight
from opentrail.services.cloudtrail.public_keys import KeyOperations
from opentrail.services.cloudtrail.resource_policies import PolicyOperations
from opentrail.services.cloudtrail.tagging import TagOperations
from opentrail.services.cloudtrail.trail_descriptions import DescriptionOperations
from opentrail.services.cloudtrail.trail_keys import TrailKeys
from opentrail.services.cloudtrail.trail_logging import LoggingOperations
from opentrail.services.cloudtrail.trail_logs import TrailLogs
from opentrail.services.cloudtrail.trail_settings import TrailOperations
from opentrail.storage.bucket import ObjectStore
from opentrail.trails.bucket_access import BucketDirectory, BucketPolicyMode
from opentrail.trails.log_groups import LogGroups, NoLogGroups
from opentrail.trails.logs_role import Identities
from opentrail.trails.notification import NoTopics, Publisher
from opentrail.trails.store import Trails


class CloudTrailService(
    TrailOperations,
    DescriptionOperations,
    LoggingOperations,
    SelectorOperations,
    InsightOperations,
    ConfigurationOperations,
    TagOperations,
    KeyOperations,
    DelegationOperations,
    PolicyOperations,
):
    """Handlers by API name are found with ``services.operation.handlers_of``."""

    def __init__(
        self,
        *,
        trails: Trails,
        organizations: Organizations,
        buckets: BucketDirectory,
        store: ObjectStore,
        keys: PublicKeys,
        clock: Clock,
        entropy: Entropy,
        mode: BucketPolicyMode = BucketPolicyMode.CHECK,
        quiet_store: ObjectStore | None = None,
        publisher: Publisher | None = None,
        trail_keys: TrailKeys | None = None,
        identities: Identities,
        log_groups: LogGroups | None = None,
    ) -> None:
        """Serve these trails; ``mode`` says how bucket policies are checked, ``publisher`` is the way to topics.

        Without ``trail_keys`` no trail has a KMS key, without ``log_groups`` none a log group.
        """
        self.parts = Parts(
            trails=trails,
            organizations=organizations,
            preflight=Preflight(buckets, store, mode, quiet_store, trail_keys),
            keys=keys,
            publisher=publisher or NoTopics(),
            trail_keys=trail_keys,
            trail_logs=TrailLogs(identities, log_groups or NoLogGroups(), clock),
            clock=clock,
            entropy=entropy,
        )
