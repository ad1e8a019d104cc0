"""The service object that the dispatcher asks: every operation of SNS that OpenTrail answers."""

from opentrail.services.sns.confirmation import ConfirmationOperations
from opentrail.services.sns.parts import Parts
from opentrail.services.sns.permissions import PermissionOperations
from opentrail.services.sns.publishing import PublishOperations
from opentrail.services.sns.subscriptions import SubscriptionOperations
from opentrail.services.sns.tagging import TagOperations
from opentrail.services.sns.topics import TopicOperations

UNSIGNED = frozenset({"ConfirmSubscription", "Unsubscribe"})
"""What may come without a signature: the token, or the subscription's ARN, is the proof (SNS API Reference)."""

OPEN_TO_ALL = UNSIGNED
"""What the dispatcher asks no permission for: the handlers do, where the call is signed."""


class SnsService(
    TopicOperations,
    SubscriptionOperations,
    ConfirmationOperations,
    PublishOperations,
    PermissionOperations,
    TagOperations,
):
    """Handlers by API name are found with ``services.operation.handlers_of``."""

    def __init__(self, parts: Parts) -> None:
        """``parts`` is everything the handlers work with."""
        self.parts = parts
