"""The archive: a second bucket that takes log files and digest files which rules expire.

Rules. The same key, the same bytes, and everything that belongs to them: metadata (a digest file's signature is there),
content type and encoding. A copy is believed when it was read back and is the same. Nothing in the archive is written
over: where something else stands, the file stays where it is. So a repetition changes nothing, whatever was done before
a crash.
"""

import re
from dataclasses import dataclass

from opentrail.errors import IntegrityError, OutboundError
from opentrail.storage.bucket import PRECONDITION_FAILED, ObjectStore
from opentrail.storage.versions import StoredFile

MAX_FILE_BYTES = 256 * 1024 * 1024
"""Log files end at 50 MB before compression (cloudtrail fact sheet 3.2); files are held whole to compare them."""

_EVIDENCE = re.compile(r"(?:.+/)?AWSLogs/(?:o-[a-z0-9]{10,32}/)?[0-9]{12}/CloudTrail(?:-[A-Za-z]+)?/.+", re.DOTALL)


def is_evidence(key: str) -> bool:
    """Whether an object's key is in a folder of log files or digest files (cloudtrail fact sheet 3.2, 5.1)."""
    return _EVIDENCE.fullmatch(key) is not None


class ArchiveError(OutboundError):
    """The archive could not be asked, or refused."""


@dataclass(frozen=True, slots=True)
class Archive:
    """One bucket of an S3 server."""

    store: ObjectStore
    bucket: str

    def keep(self, key: str, file: StoredFile) -> None:
        """Have a file in the archive, and make sure that it is.

        Raises ArchiveError where the server refuses or does not answer, IntegrityError where the archive holds
        something else under this key.
        """
        try:
            if self.store.head(self.bucket, key) is None:
                self._put(key, file)
            self._compare(key, file)
        except OutboundError as problem:
            raise ArchiveError(
                problem.code, f"the archive: {problem.message}", retryable=problem.retryable
            ) from problem

    def _put(self, key: str, file: StoredFile) -> None:
        try:
            self._put_once(key, file, only_if_absent=True)
        except OutboundError as error:
            if error.code == "NotImplemented":
                self._put_once(key, file, only_if_absent=False)
            elif error.code != PRECONDITION_FAILED:
                raise

    def _put_once(self, key: str, file: StoredFile, *, only_if_absent: bool) -> None:
        self.store.put(
            self.bucket,
            key,
            file.body,
            content_type=file.content_type,
            content_encoding=file.content_encoding,
            metadata=file.metadata,
            server_side_encryption="AES256" if file.is_encrypted else None,
            only_if_absent=only_if_absent,
        )

    def _compare(self, key: str, file: StoredFile) -> None:
        head = self.store.head(self.bucket, key)
        if head is None:
            raise OutboundError("NotVerified", f"the archive took {key} and does not have it")
        same = (
            head.size_bytes == len(file.body)
            and dict(head.metadata) == dict(file.metadata)
            and (head.content_type, head.content_encoding) == (file.content_type, file.content_encoding)
        )
        if not same or self.store.get(self.bucket, key) != file.body:
            raise IntegrityError(f"the archive's s3://{self.bucket}/{key} is not the file that has expired")
