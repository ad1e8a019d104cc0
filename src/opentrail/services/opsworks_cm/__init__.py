"""The API of AWS OpsWorks CM (``opsworks-cm``), version 2016-11-01: Chef servers, their backups, events and tags.

Requests arrive validated against the model; the rules that a model cannot say are here and in ``opentrail.opsworks``.
"""

from opentrail.services.opsworks_cm.parts import Parts
from opentrail.services.opsworks_cm.service import OpsWorksCmService
from opentrail.services.opsworks_cm.unsupported import UNSUPPORTED

__all__ = ["UNSUPPORTED", "OpsWorksCmService", "Parts"]
