"""The unmodified AWS CLI and boto3 use KMS on a running gateway: round trips, AWS's errors, records, and a kill."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import Gateway, Key, delivered, make_trail, running, start

ACCOUNT, OTHER = "123456789012", "210987654321"
STRANGER = Key("AKIAKMSSTRANGER00001", "a-secret-of-a-stranger")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A running gateway with a trail that delivers each second."""
    with running(tmp_path_factory.mktemp("kms") / "home") as gateway:
        make_trail(gateway, "kms-logs")
        yield gateway


def aws(gateway: Gateway, *arguments: str) -> Any:
    """The JSON that `aws kms ...` prints; None where it prints nothing."""
    done = gateway.cli("kms", *arguments, "--output", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


def test_the_cli_encrypts_and_decrypts(gateway: Gateway, tmp_path: Path) -> None:
    """create-key to decrypt, by alias, as the CLI's manual shows it; a wrong context is refused in AWS's words."""
    key = aws(gateway, "create-key", "--description", "cli", "--tags", "TagKey=team,TagValue=audit")["KeyMetadata"]
    aws(gateway, "create-alias", "--alias-name", "alias/cli", "--target-key-id", key["KeyId"])
    plain, sealed = tmp_path / "plain", tmp_path / "sealed"
    plain.write_bytes(b"a very secret text")
    context = ("--encryption-context", "purpose=cli")
    made = aws(gateway, "encrypt", "--key-id", "alias/cli", "--plaintext", f"fileb://{plain}", *context)
    sealed.write_bytes(base64.b64decode(made["CiphertextBlob"]))
    opened = aws(gateway, "decrypt", "--ciphertext-blob", f"fileb://{sealed}", *context)
    assert base64.b64decode(opened["Plaintext"]) == plain.read_bytes()
    assert opened["KeyId"] == key["Arn"]
    refused = gateway.cli("kms", "decrypt", "--ciphertext-blob", f"fileb://{sealed}")
    assert "(InvalidCiphertextException) when calling the Decrypt operation" in refused.stderr
    aws(gateway, "disable-key", "--key-id", key["KeyId"])
    refused = gateway.cli("kms", "encrypt", "--key-id", key["KeyId"], "--plaintext", f"fileb://{plain}")
    assert f"(DisabledException) when calling the Encrypt operation: {key['Arn']} is disabled." in refused.stderr


def test_records_name_keys_and_hold_no_secret(gateway: Gateway) -> None:
    """readOnly as AWS has it, the key in resources, the context shown, plaintext and ciphertext nowhere."""
    kms = gateway.client("kms")
    key = kms.create_key()["KeyMetadata"]
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"canary-in-kms", EncryptionContext={"purpose": "records"})
    kms.decrypt(CiphertextBlob=blob["CiphertextBlob"], EncryptionContext={"purpose": "records"})
    deadline = time.monotonic() + 30
    while True:
        records = [
            item for item in delivered(gateway.client("s3"), "kms-logs") if item["eventSource"] == "kms.amazonaws.com"
        ]
        mine = {item["eventName"]: item for item in records if key["Arn"] in json.dumps(item.get("resources"))}
        if mine.keys() >= {"CreateKey", "Encrypt", "Decrypt"} or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    for name, read_only in (("CreateKey", False), ("Encrypt", True), ("Decrypt", True)):
        assert mine[name]["readOnly"] is read_only
        assert mine[name]["resources"] == [{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": key["Arn"]}]
    assert mine["Encrypt"]["requestParameters"]["encryptionContext"] == {"purpose": "records"}
    assert mine["CreateKey"]["responseElements"]["keyMetadata"]["arn"] == key["Arn"]
    text = json.dumps(records)
    assert "canary-in-kms" not in text
    assert base64.b64encode(b"canary-in-kms").decode() not in text
    assert base64.b64encode(blob["CiphertextBlob"]).decode()[:40] not in text


def test_another_account_uses_a_key_that_lets_it_in(gateway: Gateway) -> None:
    """A foreign root is refused, and let in by the key policy; every SDK reads the refusal."""
    gateway.import_key(OTHER, STRANGER, "--root")
    ours, theirs = gateway.client("kms"), gateway.client("kms", STRANGER)
    arn = ours.create_key()["KeyMetadata"]["Arn"]
    with pytest.raises(theirs.exceptions.ClientError, match="AccessDeniedException"):
        theirs.encrypt(KeyId=arn, Plaintext=b"x")
    policy = json.loads(ours.get_key_policy(KeyId=arn)["Policy"])
    statement = {"Effect": "Allow", "Principal": {"AWS": OTHER}, "Action": "kms:Encrypt", "Resource": "*"}
    policy["Statement"].append(statement)
    ours.put_key_policy(KeyId=arn, Policy=json.dumps(policy))
    assert theirs.encrypt(KeyId=arn, Plaintext=b"x")["KeyId"] == arn
    with pytest.raises(ours.exceptions.NotFoundException):
        ours.describe_key(KeyId="alias/none")


def test_keys_survive_a_kill(tmp_path: Path) -> None:
    """What was encrypted before SIGKILL is decrypted after it, under old and new key material."""
    gateway = start(tmp_path / "home")
    kms = gateway.client("kms")
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    blobs = [kms.encrypt(KeyId=key_id, Plaintext=b"before")["CiphertextBlob"]]
    kms.rotate_key_on_demand(KeyId=key_id)
    blobs.append(kms.encrypt(KeyId=key_id, Plaintext=b"before")["CiphertextBlob"])
    gateway.kill()
    with running(tmp_path / "home") as again:
        kms = again.client("kms")
        assert [kms.decrypt(CiphertextBlob=blob)["Plaintext"] for blob in blobs] == [b"before", b"before"]
