"""The service object that the dispatcher asks: every operation of OpsWorks CM that OpenTrail answers."""

from opentrail.services.opsworks_cm.backups import BackupOperations
from opentrail.services.opsworks_cm.engine_attributes import EngineAttributeOperations
from opentrail.services.opsworks_cm.instances import InstanceOperations
from opentrail.services.opsworks_cm.nodes import NodeOperations
from opentrail.services.opsworks_cm.parts import Parts
from opentrail.services.opsworks_cm.servers import ServerOperations
from opentrail.services.opsworks_cm.tagging import TagOperations


class OpsWorksCmService(
    ServerOperations, BackupOperations, InstanceOperations, NodeOperations, EngineAttributeOperations, TagOperations
):
    """Handlers by API name are found with ``services.operation.handlers_of``."""

    def __init__(self, parts: Parts) -> None:
        """``parts`` is everything the handlers work with."""
        self.parts = parts
