"""The API of AWS Organizations (``organizations``), version 2016-11-28: accounts that belong together; no policies.

Requests arrive validated against the model; the rules that a model cannot say are here. The service is global.
"""

from opentrail.services.organizations.service import OrganizationsService
from opentrail.services.organizations.unsupported import UNSUPPORTED

__all__ = ["UNSUPPORTED", "OrganizationsService"]
