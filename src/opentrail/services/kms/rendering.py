"""Keys in the form of KMS's answers; wire casing."""

from typing import Any

from opentrail.kms.access import ALGORITHM
from opentrail.kms.key import Alias, Key, KeyState


def metadata_of(key: Key) -> dict[str, Any]:
    """A ``KeyMetadata`` structure."""
    metadata = {
        "AWSAccountId": key.account_id,
        "KeyId": key.key_id,
        "Arn": key.arn,
        "CreationDate": key.created_at,
        "Enabled": key.state is KeyState.ENABLED,
        "Description": key.description,
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": key.state.value,
        "DeletionDate": key.deletion_at,
        "Origin": "AWS_KMS",
        "KeyManager": key.manager,
        "CustomerMasterKeySpec": ALGORITHM,
        "KeySpec": ALGORITHM,
        "EncryptionAlgorithms": [ALGORITHM],
        "MultiRegion": False,
        "CurrentKeyMaterialId": key.current.material_id,
    }
    return {name: value for name, value in metadata.items() if value is not None}


def alias_entry(alias: Alias) -> dict[str, Any]:
    """An ``AliasListEntry`` structure."""
    return {
        "AliasName": alias.name,
        "AliasArn": alias.arn,
        "TargetKeyId": alias.key_id,
        "CreationDate": alias.created_at,
        "LastUpdatedDate": alias.updated_at,
    }
