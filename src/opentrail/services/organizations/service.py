"""The service object that the dispatcher asks: every operation of Organizations that OpenTrail answers."""

from opentrail.services.organizations.answers import AnswerOperations
from opentrail.services.organizations.invitations import InvitationOperations
from opentrail.services.organizations.lifecycle import OrganizationOperations
from opentrail.services.organizations.members import MemberOperations
from opentrail.services.organizations.parts import Parts
from opentrail.services.organizations.tagging import TagOperations
from opentrail.services.organizations.tree import TreeOperations
from opentrail.services.organizations.trust import TrustOperations


class OrganizationsService(
    OrganizationOperations,
    InvitationOperations,
    AnswerOperations,
    MemberOperations,
    TreeOperations,
    TrustOperations,
    TagOperations,
):
    """Handlers by API name are found with ``services.operation.handlers_of``."""

    def __init__(self, parts: Parts) -> None:
        """``parts`` is everything the handlers work with."""
        self.parts = parts
