"""A copy of a bucket, read under the name of the original: digest files sign the bucket and the keys they were put at.

Content, keys and signatures are judged as ever; only where the bytes come from is another question. So a copy is valid
where it holds, key by key, what the original held (cloudtrail fact sheet 5.6: the AWS CLI has no such thing).
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager

from opentrail.storage.listings import ObjectEntry
from opentrail.storage.reading import ObjectReader, OpenObject


class CopyReader:
    """Reads bucket ``copy`` wherever bucket ``original`` is asked for; every other bucket as it is."""

    def __init__(self, reader: ObjectReader, original: str, copy: str) -> None:
        self._reader = reader
        self._original = original
        self._copy = copy

    def open(self, bucket: str, key: str) -> AbstractContextManager[OpenObject]:
        return self._reader.open(self._where(bucket), key)

    def list_objects(self, bucket: str, prefix: str, after: str = "") -> Iterator[ObjectEntry]:
        return self._reader.list_objects(self._where(bucket), prefix, after)

    def list_folders(self, bucket: str, prefix: str) -> list[str]:
        return self._reader.list_folders(self._where(bucket), prefix)

    def _where(self, bucket: str) -> str:
        return self._copy if bucket == self._original else bucket
