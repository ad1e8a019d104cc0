"""The service object that the dispatcher asks: every operation of the Resource Groups Tagging API that is answered."""

from opentrail.services.tagging.parts import Parts
from opentrail.services.tagging.reading import ReadingOperations
from opentrail.services.tagging.writing import WritingOperations


class TaggingService(ReadingOperations, WritingOperations):
    """Handlers by API name are found with ``services.operation.handlers_of``."""

    def __init__(self, parts: Parts) -> None:
        """``parts`` is everything the handlers work with."""
        self.parts = parts
