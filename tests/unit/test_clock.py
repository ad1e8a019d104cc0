"""The door to randomness gives identifiers in their usual form."""

import uuid

from opentrail.clock import SystemEntropy


def test_identifiers_are_random_uuids_in_their_usual_form() -> None:
    """Each is a UUID of version 4 as ``uuid`` writes it, no two are alike, and no free digit stands still."""
    texts = [SystemEntropy().uuid() for _ in range(2000)]
    for text in texts:
        read = uuid.UUID(text)
        assert (str(read), read.version, read.variant) == (text, 4, uuid.RFC_4122)
    assert len(set(texts)) == len(texts)
    seen = [len(set(digits)) for digits in zip(*texts, strict=True)]
    assert [count for count in seen if count != 16] == [1, 1, 1, 1, 4, 1]  # hyphens, the version, the variant
