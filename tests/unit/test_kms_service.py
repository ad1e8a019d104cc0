"""KMS through boto3: keys, aliases, cryptography, rotation and deletion, with AWS's errors."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from opentrail.kms.store import Keys
from tests.support.kms_world import ACCOUNT, OTHER, KmsWorld, allow, policy_text

DAY_S = 86_400.0
UNKNOWN = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def world() -> KmsWorld:
    return KmsWorld()


@pytest.fixture
def kms(world: KmsWorld) -> Any:
    """A client of the first account's root."""
    return world.client()


def code(call: Any, **request: Any) -> str:
    """The code that a call is refused with."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    return str(caught.value.response["Error"]["Code"])


def test_a_key_is_described_and_listed(world: KmsWorld, kms: Any) -> None:
    """Metadata as AWS has it, tags, default policy, one entry in the list."""
    made = kms.create_key(Description="logs", Tags=[{"TagKey": "team", "TagValue": "audit"}])["KeyMetadata"]
    assert made["Arn"] == f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{made['KeyId']}"
    assert (made["KeyState"], made["Enabled"], made["KeyManager"], made["KeySpec"], made["MultiRegion"]) == (
        *("Enabled", True, "CUSTOMER", "SYMMETRIC_DEFAULT", False),
    )
    assert kms.describe_key(KeyId=made["Arn"])["KeyMetadata"] == made
    assert kms.list_keys()["Keys"] == [{"KeyId": made["KeyId"], "KeyArn": made["Arn"]}]
    assert kms.list_resource_tags(KeyId=made["KeyId"])["Tags"] == [{"TagKey": "team", "TagValue": "audit"}]
    policy = json.loads(kms.get_key_policy(KeyId=made["KeyId"])["Policy"])
    assert policy["Statement"][0]["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    assert kms.list_key_policies(KeyId=made["KeyId"])["PolicyNames"] == ["default"]
    assert world.answers[-1].resources[0]["ARN"] == made["Arn"]  # type: ignore[attr-defined]


def test_what_only_other_kinds_of_keys_can_is_refused(kms: Any) -> None:
    """No key is made that is not what was asked for."""
    for request in (
        {"KeySpec": "RSA_2048"},
        {"KeyUsage": "SIGN_VERIFY"},
        {"MultiRegion": True},
        {"Origin": "EXTERNAL"},
    ):
        assert code(kms.create_key, **request) == "UnsupportedOperationException"
    assert kms.list_keys()["Keys"] == []


def test_keys_of_other_places_are_not_found(world: KmsWorld, kms: Any) -> None:
    """Neither another region's, nor what was never there, nor what cannot be a key."""
    key_id = world.key()
    arn = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{key_id}"
    abroad = world.client(region="eu-west-1")
    for client, name in (
        *((abroad, key_id), (abroad, arn), (kms, UNKNOWN), (kms, "alias/none"), (kms, "nonsense")),
        *(
            (kms, arn.replace("arn:aws:", "arn:aws-cn:")),
            (kms, "arn:aws:kms:x"),
            (kms, f"arn:aws:sqs:us-east-1:{ACCOUNT}:key/{key_id}"),
        ),
    ):
        assert code(client.describe_key, KeyId=name) == "NotFoundException", name


def test_encryption_goes_round_in_its_context_alone(world: KmsWorld, kms: Any) -> None:
    """By id, ARN, alias and alias ARN; another context, another bit or none of it opens nothing."""
    key_id = world.key()
    kms.create_alias(AliasName="alias/logs", TargetKeyId=key_id)
    arn = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{key_id}"
    context = {"purpose": "test", "B": "2"}
    for name in (key_id, arn, "alias/logs", f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/logs"):
        blob = kms.encrypt(KeyId=name, Plaintext=b"secret", EncryptionContext=context)
        assert blob["KeyId"] == arn
        opened = kms.decrypt(CiphertextBlob=blob["CiphertextBlob"], EncryptionContext=context)
        assert (opened["Plaintext"], opened["KeyId"]) == (b"secret", arn)
    sealed = blob["CiphertextBlob"]
    assert code(kms.decrypt, CiphertextBlob=sealed) == "InvalidCiphertextException"
    assert code(kms.decrypt, CiphertextBlob=b"x" * 100) == "InvalidCiphertextException"
    assert (
        code(kms.decrypt, CiphertextBlob=sealed[:-1] + b"!", EncryptionContext=context) == "InvalidCiphertextException"
    )
    named = {"CiphertextBlob": sealed, "EncryptionContext": context}
    assert code(kms.decrypt, KeyId=world.key(), **named) == "IncorrectKeyException"
    assert kms.decrypt(KeyId="alias/logs", **named)["Plaintext"] == b"secret"
    assert code(kms.decrypt, DryRun=True, **named) == "DryRunOperationException"
    assert code(kms.encrypt, KeyId=key_id, Plaintext=b"x", GrantTokens=["t"]) == "InvalidGrantTokenException"


def test_data_keys_open_as_what_they_were(world: KmsWorld, kms: Any) -> None:
    """Both sizes, any number of bytes, with and without plaintext; each is another."""
    key_id = world.key()
    for request, size in (({"KeySpec": "AES_256"}, 32), ({"KeySpec": "AES_128"}, 16), ({"NumberOfBytes": 64}, 64)):
        made = kms.generate_data_key(KeyId=key_id, **request)
        assert len(made["Plaintext"]) == size
        assert kms.decrypt(CiphertextBlob=made["CiphertextBlob"])["Plaintext"] == made["Plaintext"]
        hidden = kms.generate_data_key_without_plaintext(KeyId=key_id, **request)
        assert "Plaintext" not in hidden
        assert len(kms.decrypt(CiphertextBlob=hidden["CiphertextBlob"])["Plaintext"]) == size
    assert code(kms.generate_data_key, KeyId=key_id) == "ValidationException"
    assert code(kms.generate_data_key, KeyId=key_id, KeySpec="AES_256", NumberOfBytes=1) == "ValidationException"
    assert len(kms.generate_random(NumberOfBytes=9)["Plaintext"]) == 9


def test_re_encryption_changes_key_and_context(world: KmsWorld, kms: Any) -> None:
    """The new blob is the other key's; the record names both keys."""
    first, second = world.key(), world.key()
    blob = kms.encrypt(KeyId=first, Plaintext=b"secret", EncryptionContext={"a": "1"})["CiphertextBlob"]
    moved = kms.re_encrypt(
        CiphertextBlob=blob,
        SourceEncryptionContext={"a": "1"},
        DestinationKeyId=second,
        DestinationEncryptionContext={"b": "2"},
    )
    assert [item["ARN"][-36:] for item in world.answers[-1].resources] == [first, second]  # type: ignore[attr-defined]
    opened = kms.decrypt(CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"b": "2"})
    assert (opened["Plaintext"], opened["KeyId"][-36:]) == (b"secret", second)


def test_a_disabled_key_does_nothing_until_it_is_enabled(world: KmsWorld, kms: Any) -> None:
    """DisabledException for every use, then all is as before."""
    key_id = world.key()
    blob = kms.encrypt(KeyId=key_id, Plaintext=b"secret")["CiphertextBlob"]
    kms.disable_key(KeyId=key_id)
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"] == "Disabled"
    assert code(kms.encrypt, KeyId=key_id, Plaintext=b"x") == "DisabledException"
    assert code(kms.decrypt, CiphertextBlob=blob) == "DisabledException"
    assert code(kms.generate_data_key, KeyId=key_id, KeySpec="AES_256") == "DisabledException"
    assert code(kms.re_encrypt, CiphertextBlob=blob, DestinationKeyId=world.key()) == "DisabledException"
    assert code(kms.enable_key_rotation, KeyId=key_id) == "DisabledException"
    kms.enable_key(KeyId=key_id)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"secret"


def test_deletion_waits_can_be_cancelled_and_then_is_final(world: KmsWorld, kms: Any) -> None:
    """Pending keys do nothing; a cancelled one is disabled; after the window the key and its aliases are gone."""
    key_id = world.key()
    kms.create_alias(AliasName="alias/doomed", TargetKeyId=key_id)
    blob = kms.encrypt(KeyId=key_id, Plaintext=b"secret")["CiphertextBlob"]
    assert code(kms.schedule_key_deletion, KeyId=key_id, PendingWindowInDays=6) == "ValidationException"
    planned = kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    assert planned["KeyState"] == "PendingDeletion"
    for refused in (kms.enable_key, kms.disable_key, kms.get_key_rotation_status, kms.schedule_key_deletion):
        assert code(refused, KeyId=key_id) == "KMSInvalidStateException"
    assert code(kms.decrypt, CiphertextBlob=blob) == "KMSInvalidStateException"
    kms.cancel_key_deletion(KeyId=key_id)
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"] == "Disabled"
    assert code(kms.cancel_key_deletion, KeyId=key_id) == "KMSInvalidStateException"
    kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    world.clock.advance(7 * DAY_S - 1)
    assert not world.schedule.is_due()
    world.clock.advance(2)
    with world.database.unit() as unit:
        (event,) = world.schedule.carry_out(unit)
    assert (event.event_name, event.account_id, event.details) == ("DeleteKey", ACCOUNT, {"keyId": key_id})
    assert code(kms.describe_key, KeyId=key_id) == "NotFoundException"
    assert kms.list_aliases()["Aliases"] == []
    assert code(kms.decrypt, CiphertextBlob=blob) == "AccessDeniedException"


def test_keys_rotate_by_the_clock_and_open_what_they_ever_sealed(world: KmsWorld, kms: Any) -> None:
    """New material at the day, an event of it, and every blob still opens; a disabled key waits."""
    key_id = world.key()
    blob = kms.encrypt(KeyId=key_id, Plaintext=b"old")
    kms.enable_key_rotation(KeyId=key_id, RotationPeriodInDays=90)
    first = kms.describe_key(KeyId=key_id)["KeyMetadata"]["CurrentKeyMaterialId"]
    due = kms.get_key_rotation_status(KeyId=key_id)["NextRotationDate"]
    world.clock.advance(90 * DAY_S + 1)
    kms.disable_key(KeyId=key_id)
    assert not world.schedule.is_due()
    kms.enable_key(KeyId=key_id)
    with world.database.unit() as unit:
        (event,) = world.schedule.carry_out(unit)
    assert (event.event_name, event.details) == ("RotateKey", {"rotationType": "AUTOMATIC", "keyId": key_id})
    assert not world.schedule.is_due()
    status = kms.get_key_rotation_status(KeyId=key_id)
    assert (status["NextRotationDate"] - due).days == 90
    kms.rotate_key_on_demand(KeyId=key_id)
    rotations = kms.list_key_rotations(KeyId=key_id)["Rotations"]
    assert [entry["RotationType"] for entry in rotations] == ["AUTOMATIC", "ON_DEMAND"]
    everything = kms.list_key_rotations(KeyId=key_id, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    assert [entry["KeyMaterialState"] for entry in everything] == ["NON_CURRENT", "NON_CURRENT", "CURRENT"]
    opened = kms.decrypt(CiphertextBlob=blob["CiphertextBlob"])
    assert (opened["Plaintext"], opened["KeyMaterialId"]) == (b"old", first)
    kms.disable_key_rotation(KeyId=key_id)
    assert kms.get_key_rotation_status(KeyId=key_id)["KeyRotationEnabled"] is False


def test_aliases_go_round(world: KmsWorld, kms: Any) -> None:
    """Made, listed, moved and removed; the names that KMS refuses."""
    first, second = world.key(), world.key()
    kms.create_alias(AliasName="alias/a", TargetKeyId=first)
    kms.create_alias(AliasName="alias/b", TargetKeyId=second)
    assert code(kms.create_alias, AliasName="alias/a", TargetKeyId=second) == "AlreadyExistsException"
    for name in ("plain", "alias/aws/mine"):
        assert code(kms.create_alias, AliasName=name, TargetKeyId=first) == "InvalidAliasNameException"
    assert code(kms.create_alias, AliasName="alias/c", TargetKeyId="alias/a") == "ValidationException"
    kms.update_alias(AliasName="alias/a", TargetKeyId=second)
    assert [alias["AliasName"] for alias in kms.list_aliases(KeyId=second)["Aliases"]] == ["alias/a", "alias/b"]
    page = kms.list_aliases(Limit=1)
    rest = kms.list_aliases(Limit=1, Marker=page["NextMarker"])
    assert [found["Aliases"][0]["AliasName"] for found in (page, rest)] == ["alias/a", "alias/b"]
    assert rest["Truncated"] is False
    assert code(kms.list_aliases, Marker="§") == "InvalidMarkerException"
    kms.delete_alias(AliasName="alias/a")
    assert code(kms.delete_alias, AliasName="alias/a") == "NotFoundException"


def test_tags_and_descriptions_change(world: KmsWorld, kms: Any) -> None:
    """A key that exists gets the new value; AWS's own prefix and doubles are refused."""
    key_id = world.key()
    kms.tag_resource(KeyId=key_id, Tags=[{"TagKey": "a", "TagValue": "1"}, {"TagKey": "b", "TagValue": "2"}])
    kms.tag_resource(KeyId=key_id, Tags=[{"TagKey": "a", "TagValue": "3"}])
    kms.untag_resource(KeyId=key_id, TagKeys=["b"])
    assert kms.list_resource_tags(KeyId=key_id)["Tags"] == [{"TagKey": "a", "TagValue": "3"}]
    assert code(kms.tag_resource, KeyId=key_id, Tags=[{"TagKey": "aws:x", "TagValue": ""}]) == "TagException"
    kms.update_key_description(KeyId=key_id, Description="new")
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["Description"] == "new"


def test_key_material_is_sealed_and_survives_a_restart(world: KmsWorld, kms: Any) -> None:
    """The database holds no secret in clear, and another process reads the same keys; no repr shows a secret."""
    key_id = world.key()
    kms.rotate_key_on_demand(KeyId=key_id)
    again = Keys(world.database, world.seal).snapshot.by_id(key_id)
    before = world.keys.snapshot.by_id(key_id)
    assert again is not None
    assert again == before
    with world.database.read() as connection:
        rows = repr(connection.exec_driver_sql("SELECT * FROM kms_key_materials").all())
    for material in again.materials:
        assert repr(material.secret)[2:-1] not in rows
        assert repr(material.secret) not in repr(again)


def test_root_cannot_use_a_key_whose_policy_leaves_it_out(world: KmsWorld, kms: Any) -> None:
    """Unlike elsewhere, root and administrators get from identity policies only what the key policy leaves to them."""
    admin = world.user("admin", may="*")
    key_id = world.key(Policy=policy_text())
    for client in (kms, world.client(admin)):
        assert code(client.encrypt, KeyId=key_id, Plaintext=b"x") == "AccessDeniedException"
    world.client(admin).describe_key(KeyId=key_id)


def test_the_account_in_the_policy_leaves_it_to_identity_policies(world: KmsWorld) -> None:
    """The default policy allows those whom IAM allows, and nobody else."""
    key_id = world.key()
    world.client(world.user("ada", may="kms:Encrypt")).encrypt(KeyId=key_id, Plaintext=b"x")
    assert code(world.client(world.user("bob")).encrypt, KeyId=key_id, Plaintext=b"x") == "AccessDeniedException"
    assert code(world.client(world.user("bob")).list_keys) == "AccessDeniedException"


def test_a_user_in_the_policy_needs_no_identity_policy(world: KmsWorld) -> None:
    """Named himself, he may; the conditions on the encryption context count."""
    bob = world.user("bob")
    condition = {"StringEquals": {"kms:EncryptionContext:Team": "audit"}}
    key_id = world.key(Policy=policy_text(allow({"AWS": bob.arn}, "kms:Encrypt", Condition=condition)))
    client = world.client(bob)
    client.encrypt(KeyId=key_id, Plaintext=b"x", EncryptionContext={"Team": "audit"})
    for context in ({}, {"Team": "other"}, {"Other": "audit"}):
        assert code(client.encrypt, KeyId=key_id, Plaintext=b"x", EncryptionContext=context) == "AccessDeniedException"


def test_other_accounts_need_both_policies_and_learn_nothing(world: KmsWorld) -> None:
    """By ARN, where the key policy and their own allow it; the record goes to both accounts."""
    policy = policy_text(allow({"AWS": OTHER}, ["kms:Encrypt", "kms:Decrypt"]))
    arn = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{world.key(Policy=policy)}"
    may, may_not = world.user("eve", OTHER, may="kms:*"), world.user("fay", OTHER)
    blob = world.client(may).encrypt(KeyId=arn, Plaintext=b"x")["CiphertextBlob"]
    assert world.answers[-1].also_for == (ACCOUNT,)  # type: ignore[attr-defined]
    assert world.client(may).decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    assert code(world.client(may_not).encrypt, KeyId=arn, Plaintext=b"x") == "AccessDeniedException"
    assert code(world.client(may_not).decrypt, CiphertextBlob=blob) == "AccessDeniedException"
    for operation in ("disable_key", "schedule_key_deletion", "get_key_policy"):
        assert code(getattr(world.client(may), operation), KeyId=arn) == "AccessDeniedException"
    said = {}
    for name in (
        f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{UNKNOWN}",
        f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{world.key()}",
    ):
        with pytest.raises(ClientError) as caught:
            world.client(may).encrypt(KeyId=name, Plaintext=b"x")
        said[name] = caught.value.response["Error"]["Message"]
    assert len(set(said.values())) == 1


def test_who_may_only_create_keys_gets_one_with_the_default_policy(world: KmsWorld) -> None:
    """The lockout check is about a policy that the request brings; the default one leaves the key to the account."""
    creator = world.client(world.user("cleo", may="kms:CreateKey"))
    creator.create_key()
    policy = policy_text(allow({"AWS": OTHER}, "kms:Decrypt"))
    assert code(creator.create_key, Policy=policy) == "MalformedPolicyDocumentException"


def test_nobody_locks_himself_out(world: KmsWorld, kms: Any) -> None:
    """A policy that would not let the caller change it again is refused, unless he insists."""
    key_id = world.key()
    nobody = json.dumps({"Version": "2012-10-17", "Statement": [allow({"AWS": OTHER}, "kms:Decrypt")]})
    for broken in (nobody, "{}", "nonsense"):
        refused = code(kms.put_key_policy, KeyId=key_id, Policy=broken)
        assert refused == "MalformedPolicyDocumentException"
    assert code(kms.create_key, Policy=nobody) == "MalformedPolicyDocumentException"
    kms.put_key_policy(KeyId=key_id, Policy=nobody, BypassPolicyLockoutSafetyCheck=True)
    assert code(kms.get_key_policy, KeyId=key_id) == "AccessDeniedException"
