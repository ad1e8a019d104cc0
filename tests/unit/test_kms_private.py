"""The KMS for the object store behind us: who may call it, which operations it has, and what keys it knows."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from opentrail.aws.http import RequestHead
from opentrail.aws.model import Catalogue
from opentrail.clock import SystemClock
from opentrail.gateway.private_kms import MAX_BODY_BYTES, PrivateKms
from tests.support.kms_world import ACCOUNT, KmsWorld


@pytest.fixture
def world() -> KmsWorld:
    return KmsWorld()


@pytest.fixture
def private(world: KmsWorld) -> Iterator[PrivateKms]:
    private = PrivateKms(Catalogue().service("kms"), world.keys, SystemClock(), world.entropy)
    private.start()
    yield private
    private.stop()


def client(private: PrivateKms, access_key_id: str = "", secret: str = "") -> Any:
    """A client of the private KMS, by default with its key pair."""
    return boto3.session.Session().client(
        "kms",
        endpoint_url=private.endpoint,
        region_name="us-east-1",
        aws_access_key_id=access_key_id or private.key.access_key_id,
        aws_secret_access_key=secret or private.key.secret_access_key,
        config=Config(retries={"total_max_attempts": 1}),
    )


def code(call: Any, **request: Any) -> str:
    """The code that a call is refused with."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    return str(caught.value.response["Error"]["Code"])


def test_data_keys_of_any_region_go_round(world: KmsWorld, private: PrivateKms) -> None:
    """By ARN, whatever region the request was signed for; another context opens nothing."""
    key = world.client(region="eu-west-1").create_key()["KeyMetadata"]
    kms = client(private)
    made = kms.generate_data_key(KeyId=key["Arn"], KeySpec="AES_256", EncryptionContext={"a": "1"})
    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext={"a": "1"})
    assert (opened["Plaintext"], opened["KeyId"]) == (made["Plaintext"], key["Arn"])
    assert code(kms.decrypt, CiphertextBlob=made["CiphertextBlob"]) == "InvalidCiphertextException"
    world.client(region="eu-west-1").disable_key(KeyId=key["KeyId"])
    context = {"CiphertextBlob": made["CiphertextBlob"], "EncryptionContext": {"a": "1"}}
    assert code(kms.decrypt, **context) == "DisabledException"


def test_nobody_else_is_answered(world: KmsWorld, private: PrivateKms) -> None:
    """Neither another key pair, nor a wrong secret, nor a body that was exchanged, nor no signature at all."""
    arn = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{world.key()}"
    for impostor in (client(private, "AKIASOMEBODY00000000"), client(private, secret="guessed")):
        refused = code(impostor.generate_data_key, KeyId=arn, KeySpec="AES_256")
        assert refused == "UnrecognizedClientException"
    target = {"x-amz-target": "TrentService.GenerateDataKey", "content-type": "application/x-amz-json-1.1"}
    body = json.dumps({"KeyId": arn, "KeySpec": "AES_256"}).encode()
    assert private.answer(RequestHead("POST", "/", "", target), body).status == 400
    assert private.key.secret_access_key not in repr(private.key)


def test_it_does_nothing_else(world: KmsWorld, private: PrivateKms) -> None:
    """No key is made, described or changed through it; unknown keys and oversized requests are refused."""
    key_id = world.key()
    kms = client(private)
    assert code(kms.create_key) == "NotFoundException"
    assert code(kms.describe_key, KeyId=f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{key_id}") == "NotFoundException"
    for unknown in (key_id, "alias/x", f"arn:aws:kms:us-east-1:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"):
        assert code(kms.generate_data_key, KeyId=unknown, KeySpec="AES_256") == "NotFoundException"
    large = {"k": "v" * MAX_BODY_BYTES}
    assert code(kms.generate_data_key, KeyId=key_id, KeySpec="AES_256", EncryptionContext=large) == "413"
