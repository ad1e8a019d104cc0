"""The Resource Groups Tagging API: tags of all taggable resources of ours, and of an upstream that serves it too."""

from opentrail.services.tagging.service import TaggingService
from opentrail.services.tagging.unsupported import UNSUPPORTED

__all__ = ["UNSUPPORTED", "TaggingService"]
