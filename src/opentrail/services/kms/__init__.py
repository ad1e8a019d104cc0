"""AWS Key Management Service: ``KmsService`` answers its API, ``UNSUPPORTED`` names what it refuses."""

from opentrail.services.kms.service import KmsService
from opentrail.services.kms.unsupported import UNSUPPORTED

__all__ = ["UNSUPPORTED", "KmsService"]
