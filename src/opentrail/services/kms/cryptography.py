"""Encrypting and decrypting.

Rules (AWS KMS API Reference). A ciphertext names its key; a key id in a request for decryption must be that one. A
caller who may not use the key of a ciphertext is told the same as if there were none. ``DryRun`` ends each operation
after its checks.
"""

from dataclasses import replace
from typing import Any

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.kms.access import ALGORITHM, NO_VALUES, encryption_context
from opentrail.kms.ciphertext import Context, Envelope
from opentrail.kms.key import Key
from opentrail.kms.vault import Opened, envelope_of, require_usable
from opentrail.services.answer import Answer
from opentrail.services.kms.parts import Conditions, Parts, Request, Response, about, reference_of
from opentrail.services.kms.unsupported import refuse_unsupported_use
from opentrail.services.operation import operation

_SIZES = {"AES_256": 32, "AES_128": 16}


class CryptographicOperations:
    """Operations with keys."""

    parts: Parts

    @operation("Encrypt")
    def encrypt(self, call: Call, request: Request) -> Answer:
        """Encrypt up to 4 KiB under a key."""
        context = request.get("EncryptionContext") or {}
        key = self._key(call, request, context)
        blob = self.parts.vault.seal(key, request["Plaintext"], context)
        return about(key, {"CiphertextBlob": blob, "KeyId": key.arn, "EncryptionAlgorithm": ALGORITHM})

    @operation("Decrypt")
    def decrypt(self, call: Call, request: Request) -> Answer:
        """What is in a ciphertext."""
        refuse_unsupported_use(request)
        context = request.get("EncryptionContext") or {}
        envelope = _envelope(request)
        key = self._key_of(call, envelope, "kms:Decrypt", context)
        self._check_named(call, request.get("KeyId"), key)
        require_usable(key)
        opened = self._opened(request, key, envelope, context)
        answer = {
            "KeyId": key.arn,
            "Plaintext": opened.plaintext,
            "EncryptionAlgorithm": ALGORITHM,
            "KeyMaterialId": opened.material.material_id,
        }
        return about(key, answer)

    @operation("ReEncrypt")
    def re_encrypt(self, call: Call, request: Request) -> Answer:
        """Encrypt under another key, or with another context, what a ciphertext holds; the plaintext stays here."""
        refuse_unsupported_use(request)
        keys = self.parts.keys.snapshot
        before, after = request.get("SourceEncryptionContext") or {}, request.get("DestinationEncryptionContext") or {}
        envelope = _envelope(request)
        named = keys.find(reference_of(call, request["DestinationKeyId"]))
        is_same = named is not None and named.key_id == envelope.key_id
        same = {"kms:reencryptonsamekey": ("true" if is_same else "false",)}
        source = self._key_of(call, envelope, "kms:ReEncryptFrom", before, same)
        more = {**encryption_context(after), **same}
        target = self.parts.key(call, request["DestinationKeyId"], keys, action="kms:ReEncryptTo", more=more)
        self._check_named(call, request.get("SourceKeyId"), source)
        require_usable(source)
        require_usable(target)
        opened = self._opened(request, source, envelope, before)
        blob = self.parts.vault.seal(target, opened.plaintext, after)
        answer = {
            "CiphertextBlob": blob,
            "SourceKeyId": source.arn,
            "KeyId": target.arn,
            "SourceEncryptionAlgorithm": ALGORITHM,
            "DestinationEncryptionAlgorithm": ALGORITHM,
            "SourceKeyMaterialId": opened.material.material_id,
            "DestinationKeyMaterialId": target.current.material_id,
        }
        return _about_both(source, target, answer)

    @operation("GenerateDataKey")
    def generate_data_key(self, call: Call, request: Request) -> Answer:
        """A new key for use outside, in clear and encrypted under a key of KMS."""
        key, plaintext, answer = self._data_key(call, request)
        return about(key, {**answer, "Plaintext": plaintext})

    @operation("GenerateDataKeyWithoutPlaintext")
    def generate_data_key_without_plaintext(self, call: Call, request: Request) -> Answer:
        """A new key for use outside, encrypted only."""
        key, _, answer = self._data_key(call, request)
        return about(key, answer)

    @operation("GenerateRandom")
    def generate_random(self, call: Call, request: Request) -> Response:
        """Unpredictable bytes."""
        refuse_unsupported_use(request)
        self.parts.require_on_account(call)
        if "NumberOfBytes" not in request:
            raise ApiError("ValidationException", "NumberOfBytes is required.")
        return {"Plaintext": self.parts.vault.random(request["NumberOfBytes"])}

    def _data_key(self, call: Call, request: Request) -> tuple[Key, bytes, dict[str, Any]]:
        if ("KeySpec" in request) == ("NumberOfBytes" in request):
            raise ApiError("ValidationException", "Please specify either number of bytes or key spec.")
        context = request.get("EncryptionContext") or {}
        key = self._key(call, request, context)
        size = request["NumberOfBytes"] if "NumberOfBytes" in request else _SIZES[request["KeySpec"]]
        plaintext = self.parts.vault.random(size)
        blob = self.parts.vault.seal(key, plaintext, context)
        return key, plaintext, {"CiphertextBlob": blob, "KeyId": key.arn, "KeyMaterialId": key.current.material_id}

    def _key(self, call: Call, request: Request, context: Context) -> Key:
        """The key to encrypt with, once all is checked."""
        refuse_unsupported_use(request)
        more = encryption_context(context)
        key = self.parts.key(call, request["KeyId"], self.parts.keys.snapshot, more=more)
        require_usable(key)
        _end_dry_run(request)
        return key

    def _key_of(
        self, call: Call, envelope: Envelope, action: str, context: Context, more: Conditions = NO_VALUES
    ) -> Key:
        """The key of a ciphertext, in the call's region, which the caller may use."""
        keys = self.parts.keys.snapshot
        key = keys.by_id(envelope.key_id)
        if key is None or key.region != call.region:
            raise _no_such_key()
        try:
            self.parts.require(call, action, key, keys, more={**encryption_context(context), **more})
        except ApiError:
            if key.account_id != call.account_id:
                raise _no_such_key() from None
            raise
        return key

    def _check_named(self, call: Call, named: str | None, key: Key) -> None:
        if named is None:
            return
        found = self.parts.keys.snapshot.find(reference_of(call, named))
        if found is None or found.key_id != key.key_id:
            said = "The key ID in the request does not identify a CMK that can perform this operation."
            raise ApiError("IncorrectKeyException", said)

    def _opened(self, request: Request, key: Key, envelope: Envelope, context: Context) -> Opened:
        opened = self.parts.vault.open(key, envelope, context)
        _end_dry_run(request)
        return opened


def _envelope(request: Request) -> Envelope:
    if "CiphertextBlob" not in request:
        raise ApiError("ValidationException", "CiphertextBlob is required.")
    return envelope_of(request["CiphertextBlob"])


def _end_dry_run(request: Request) -> None:
    if request.get("DryRun"):
        said = "The request would have succeeded, but the DryRun option is set."
        raise ApiError("DryRunOperationException", said, status=412)


def _no_such_key() -> ApiError:
    said = (
        "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are "
        "not allowed to access."
    )
    return ApiError("AccessDeniedException", said)


def _about_both(source: Key, target: Key, response: Response) -> Answer:
    """Source and target, once where they are the same."""
    first, second = about(source), about(target, response)
    resources = first.resources if source.key_id == target.key_id else (*first.resources, *second.resources)
    return replace(second, also_for=(*first.also_for, *second.also_for), resources=resources)
