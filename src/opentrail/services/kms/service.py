"""The service object that the dispatcher asks: every operation of KMS that OpenTrail answers."""

from opentrail.services.kms.aliases import AliasOperations
from opentrail.services.kms.cryptography import CryptographicOperations
from opentrail.services.kms.deletion import DeletionOperations
from opentrail.services.kms.key_policies import KeyPolicyOperations
from opentrail.services.kms.keys import KeyOperations
from opentrail.services.kms.parts import Parts
from opentrail.services.kms.rotation import RotationOperations
from opentrail.services.kms.tagging import TagOperations


class KmsService(
    KeyOperations,
    AliasOperations,
    KeyPolicyOperations,
    CryptographicOperations,
    RotationOperations,
    DeletionOperations,
    TagOperations,
):
    """Handlers by API name are found with ``services.operation.handlers_of``. Each asks for its permissions itself."""

    def __init__(self, parts: Parts) -> None:
        """``parts`` is everything the handlers work with."""
        self.parts = parts
