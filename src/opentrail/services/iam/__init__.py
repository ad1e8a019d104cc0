"""The API of AWS Identity and Access Management (``iam``), version 2010-05-08, as far as an audit product needs it.

Requests arrive validated against the model; the rules that a model cannot say are here. IAM is global: an account's
identities are the same in every region.
"""

from opentrail.services.iam.service import IamService
from opentrail.services.iam.unsupported import UNSUPPORTED

__all__ = ["UNSUPPORTED", "IamService"]
