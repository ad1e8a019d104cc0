"""KMS keys that S3 requests use: which key, whether the caller may use it, and the record of its use.

Rules (Amazon S3 User Guide, "Using server-side encryption with AWS KMS keys"). Uploads that ask for ``aws:kms`` take
``kms:GenerateDataKey`` on the key, downloads ``kms:Decrypt``, both through S3 (``kms:ViaService``) and with the
object's ARN in the encryption context. An upload that names no key uses the one that S3 keeps for the caller's account.
The object store behind us gets the key's ARN and the whole context, and finds the keys by itself (``private_kms``).
"""

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from opentrail.aws.protocols.s3_errors import s3_error
from opentrail.clock import Clock, Entropy
from opentrail.errors import ApiError, OutboundError
from opentrail.events.internal_calls import InternalCall, call_of, outcome_of
from opentrail.gateway.exchange import Recorder
from opentrail.gateway.s3_access import request_context
from opentrail.gateway.s3_evidence import Exchange
from opentrail.gateway.s3_forwarded import source_text
from opentrail.gateway.upstream import NOTHING, Upstream, UpstreamAnswer
from opentrail.identity.buckets import Bucket
from opentrail.kms.access import ALGORITHM, Asker, encryption_context, verdict_on
from opentrail.kms.ciphertext import Context
from opentrail.kms.key import Key
from opentrail.kms.references import KeyReference, parse_reference
from opentrail.kms.store import Keys
from opentrail.kms.vault import require_usable

KMS = "aws:kms"
ENCRYPTION = "x-amz-server-side-encryption"
KEY_ID = "x-amz-server-side-encryption-aws-kms-key-id"
CONTEXT = "x-amz-server-side-encryption-context"
OBJECT_ARN = "aws:s3:arn"

_ASKING = frozenset({"PutObject", "CopyObject", "CreateMultipartUpload"})
_COPIES = frozenset({"CopyObject", "UploadPartCopy"})
_NO_OBJECT = (404, 405)  # 405: a delete marker is named by its version
_INTERNAL = "AWS Internal"
_MAX_CONTEXT_CHARS = 8192

DefaultKey = Callable[[str, str], Awaitable[Key]]
"""The key that S3 keeps for an account in a region, made at first use."""


@dataclass(frozen=True, slots=True)
class _Use:
    """What a request does with a key."""

    operation: str
    key: Key
    context: Context

    def parameters(self) -> dict[str, Any]:
        """``requestParameters`` of its record (AWS KMS Developer Guide, "GenerateDataKey", "Decrypt")."""
        shown: dict[str, Any] = {"encryptionContext": dict(self.context)}
        if self.operation == "GenerateDataKey":
            return {"keyId": self.key.arn, "keySpec": "AES_256", **shown}
        return {**shown, "encryptionAlgorithm": ALGORITHM}


class ObjectKeys:
    """The keys of objects in the embedded object store. Without ``keys`` (KMS is another server's) none is used."""

    def __init__(
        self,
        keys: Keys | None,
        default_key: DefaultKey,
        upstream: Upstream,
        recorder: Recorder,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._keys = keys
        self._upstream = upstream
        self._default_key = default_key
        self._recorder = recorder
        self._clock = clock
        self._entropy = entropy

    async def for_request(self, exchange: Exchange) -> dict[str, str]:
        """The encryption headers that go to the object store in place of the caller's.

        Raises ApiError where the caller may not use a key, that of what he uploads or that of what he copies, where it
        cannot be used, or what is asked for is not to be had; OutboundError.
        """
        found = await self._for_upload(exchange)
        source, operation = exchange.source, exchange.call.operation
        if source is None or operation not in _COPIES:
            return found
        path, _, query = source_text(source).partition("?")  # spelt as the object store will read it for the copy
        head = await self._head(path, query)
        await self._for_download(exchange, head)
        if (
            head.get(ENCRYPTION) == KMS
            and operation == "CopyObject"
            and ENCRYPTION not in exchange.incoming.head.headers
        ):
            return {ENCRYPTION: "AES256"}  # S3's default; the object store's own is to write what was sealed in clear
        return found

    async def for_answer(self, exchange: Exchange, answer: UpstreamAnswer) -> None:
        """Raise ApiError unless the caller may decrypt what is about to be sent to him; OutboundError.

        A key that cannot be used makes the object store fail, and it does not say why: then the object's head tells.
        """
        if exchange.call.operation != "GetObject":
            return
        headers: Mapping[str, str] = answer.headers if answer.status in (200, 206) else {}
        if answer.status >= 500:
            location = exchange.location
            headers = await self._head(f"/{location.bucket}/{location.key}", exchange.incoming.head.query)
        await self._for_download(exchange, headers)

    async def _head(self, path: str, query: str) -> Mapping[str, str]:
        """The headers of an object; none where there is no such object.

        Raises OutboundError where the object store does not tell: what is not known is not allowed.
        """
        answer = await self._upstream.send("HEAD", path, query, {}, NOTHING)
        answer.close()
        if answer.status >= 300 and answer.status not in _NO_OBJECT:
            raise OutboundError("InternalError", f"the object store answers a HEAD with {answer.status}")
        return answer.headers if answer.status < 300 else {}

    async def _for_upload(self, exchange: Exchange) -> dict[str, str]:
        headers, operation = exchange.incoming.head.headers, exchange.call.operation
        algorithm = headers.get(ENCRYPTION)
        if algorithm != KMS:
            _check_without_key(headers, operation, read_only=exchange.call.read_only)
            return {}
        if operation not in _ASKING:
            raise s3_error("InvalidArgument", f"{ENCRYPTION} header is not supported for this operation.")
        bucket = _bucket(exchange)
        key = await self._key_to_encrypt(exchange, headers.get(KEY_ID, ""), bucket)
        given = read_context(headers.get(CONTEXT, ""))
        if given and operation == "CreateMultipartUpload":
            raise s3_error("NotImplemented", "Multipart uploads have no encryption context but the object's ARN.")
        arn = f"arn:aws:s3:::{bucket.name}/{exchange.call.key}"
        if given.get(OBJECT_ARN, arn) != arn:
            raise s3_error("InvalidArgument", f"{OBJECT_ARN} in the encryption context is not the object's ARN.")
        context = {**given, OBJECT_ARN: arn}
        await self._use(exchange, _Use("GenerateDataKey", key, context))
        found = {ENCRYPTION: KMS, KEY_ID: key.arn}
        return found if operation == "CreateMultipartUpload" else {**found, CONTEXT: context_text(context)}

    async def _for_download(self, exchange: Exchange, headers: Mapping[str, str]) -> None:
        """Raise ApiError unless the caller may decrypt the object whose answer, or HEAD, has these headers."""
        if headers.get(ENCRYPTION) != KMS:
            return
        key = self._key_of(headers)
        await self._use(exchange, _Use("Decrypt", key, read_context(headers.get(CONTEXT, ""))))

    def _key_of(self, headers: Mapping[str, str]) -> Key:
        """The key of an object. Raises ApiError where it is gone."""
        arn = headers.get(KEY_ID, "")
        try:
            reference = parse_reference(arn, account_id="", region=arn.split(":", 4)[3] if arn.count(":") > 4 else "")
        except ValueError:
            reference = None
        key = self._store.snapshot.find(reference) if reference else None
        if key is None:
            raise ApiError("KMS.NotFoundException", f"Key '{arn}' does not exist")
        return key

    @property
    def _store(self) -> Keys:
        if self._keys is None:
            raise s3_error("NotImplemented", "The S3 server behind OpenTrail has no KMS: calls to it go elsewhere.")
        return self._keys

    async def _key_to_encrypt(self, exchange: Exchange, named: str, bucket: Bucket) -> Key:
        store, account = self._store, exchange.caller.principal.account_id
        if not account:
            raise s3_error("AccessDenied")
        if not named or named == "alias/aws/s3":
            return await self._default_key(account, bucket.region)
        try:
            reference = parse_reference(named, account_id=account, region=bucket.region)
        except ValueError as problem:
            raise ApiError("KMS.NotFoundException", str(problem)) from None
        key = store.snapshot.find(reference)
        if key is not None:
            return key
        if reference.account_id != account:
            raise s3_error("AccessDenied")
        raise ApiError("KMS.NotFoundException", _unknown(reference))

    async def _use(self, exchange: Exchange, use: _Use) -> None:
        """Check and record the use of a key, before it is used; a refused one is recorded as well."""
        error = self._refusal(exchange, use)
        await self._record(exchange, use, error)
        if error is not None:
            is_denied = error.code == "AccessDeniedException"
            raise s3_error("AccessDenied", error.message) if is_denied else _told_by_s3(error)

    def _refusal(self, exchange: Exchange, use: _Use) -> ApiError | None:
        principal, key = exchange.caller.principal, use.key
        now = self._clock.now()
        via = {"kms:viaservice": (f"s3.{key.region}.amazonaws.com",), "aws:viaawsservice": ("true",)}
        context = request_context(exchange.incoming.head, exchange.caller, exchange.call, now, exchange.told)
        asker = Asker(principal, exchange.policies, {**context, **via})
        aliases = self._store.snapshot.aliases_for(key.key_id)
        verdict = verdict_on(asker, f"kms:{use.operation}", key, aliases, encryption_context(use.context))
        if not verdict.allowed:
            return ApiError("AccessDeniedException", verdict.denial)
        try:
            require_usable(key)
        except ApiError as error:
            return error
        return None

    async def _record(self, exchange: Exchange, use: _Use, error: ApiError | None) -> None:
        """KMS's own event, by the caller through S3; the key's account gets it too."""
        principal, key = exchange.caller.principal, use.key
        internal = InternalCall(
            service=_INTERNAL,
            account_id=principal.account_id,
            region=key.region,
            event_source="kms.amazonaws.com",
            event_name=use.operation,
            parameters=use.parameters(),
            resources=(key.record_resource,),
            on_behalf_of=principal,
        )
        at = self._clock.now()
        told = (error.code, error.message) if error else None
        call = call_of(internal, request_id=self._entropy.uuid(), at=at)
        await self._recorder.record(call, outcome_of(internal, at=at, error=told), also_for=(key.account_id,))


def read_context(text: str) -> dict[str, str]:
    """The encryption context in a header: base64 of a JSON object of texts. Raises ApiError InvalidArgument."""
    if not text:
        return {}
    try:
        if len(text) > _MAX_CONTEXT_CHARS:
            raise ValueError("too long")
        found = orjson.loads(base64.b64decode(text, validate=True))
        if not isinstance(found, dict) or not all(name and isinstance(value, str) for name, value in found.items()):
            raise ValueError("not an object of texts")
    except (ValueError, binascii.Error):
        raise s3_error("InvalidArgument", f"{CONTEXT} must be the base64 of a JSON object of texts.") from None
    return found


def context_text(context: Context) -> str:
    """An encryption context in the form of its header."""
    return base64.b64encode(orjson.dumps(dict(context), option=orjson.OPT_SORT_KEYS)).decode()


def refuse_kms_by_default(parameters: object) -> None:
    """Raise ApiError where a bucket's encryption configuration, as read from its document, names KMS anywhere.

    The object store would encrypt by itself then, with a key that nobody was asked for.
    """
    if isinstance(parameters, Mapping):
        for value in parameters.values():
            refuse_kms_by_default(value)
    elif isinstance(parameters, list | tuple):
        for value in parameters:
            refuse_kms_by_default(value)
    elif isinstance(parameters, str) and parameters.strip().startswith(KMS):
        said = f"Default encryption with KMS keys is not available; send {ENCRYPTION}: {KMS} with each upload."
        raise s3_error("NotImplemented", said)


def _told_by_s3(error: ApiError) -> ApiError:
    """KMS's error as S3 tells it (API Reference, "Error responses": ``KMS.DisabledException``)."""
    return ApiError(f"KMS.{error.code}", error.message)


def _check_without_key(headers: Mapping[str, str], operation: str, *, read_only: bool) -> None:
    """Raise ApiError for headers about encryption that do not fit together, or that nobody here honours."""
    algorithm = headers.get(ENCRYPTION)
    if read_only:
        return
    if algorithm not in (None, "AES256"):
        raise s3_error("InvalidArgument", "The encryption method specified is not supported")
    if KEY_ID in headers or CONTEXT in headers:
        said = f"Server Side Encryption with AWS KMS managed key requires HTTP header {ENCRYPTION} : {KMS}"
        raise s3_error("InvalidArgument", said)
    if algorithm is not None and operation not in _ASKING:
        raise s3_error("InvalidArgument", f"{ENCRYPTION} header is not supported for this operation.")


def _bucket(exchange: Exchange) -> Bucket:
    if exchange.bucket is None:
        raise s3_error("NoSuchBucket")
    return exchange.bucket


def _unknown(reference: KeyReference) -> str:
    return f"Alias {reference.arn} is not found." if reference.is_alias else f"Key '{reference.arn}' does not exist"
