"""The API of Amazon Simple Notification Service (``sns``), version 2010-03-31: standard topics and their subscriptions.

Requests arrive validated against the model; the rules that a model cannot say are here. Everything is of one region.
"""

from opentrail.services.sns.service import OPEN_TO_ALL, UNSIGNED, SnsService
from opentrail.services.sns.unsupported import UNSUPPORTED

__all__ = ["OPEN_TO_ALL", "UNSIGNED", "UNSUPPORTED", "SnsService"]
