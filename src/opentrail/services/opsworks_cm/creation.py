"""What a CreateServer request asks for, checked and completed with defaults, before anything is stored."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opentrail.clock import Entropy
from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.opsworks.attributes import CreateAttributes, generate_password, read_create_attributes
from opentrail.opsworks.custom_domains import CustomDomain, read_custom_domain
from opentrail.opsworks.sealing import seal_password
from opentrail.opsworks.server import NewInstance, Server, ServerStatus
from opentrail.opsworks.tags import read_tags
from opentrail.opsworks.windows import default_backup_window, default_maintenance_window, parse_window
from opentrail.services.opsworks_cm.parts import Parts
from opentrail.services.opsworks_cm.unsupported import refuse_puppet

ENGINES = ("ChefAutomate", "Chef")
ENGINE_MODEL = "Single"
ENGINE_VERSIONS: Mapping[str, str] = {"2": "2020-07", "12": "12.17.33"}
"""EngineVersion as asked for -> the concrete one in the answer (opsworks-cm fact sheet 4, CreateServer)."""
_DEFAULT_VERSIONS: Mapping[str, str] = {"ChefAutomate": "2", "Chef": "12"}


@dataclass(frozen=True, slots=True)
class Creation:
    """A server about to be stored, and the secrets that go into the answer and nowhere else."""

    server: Server
    tags: Mapping[str, str]
    custom: CustomDomain | None
    private_key: str | None = field(repr=False)
    generated_password: str | None = field(repr=False)


def read_creation(parts: Parts, call: Call, request: Mapping[str, Any]) -> Creation:
    """Check a request and make the server of it; makes a key pair where the caller gave no public key (about 0.1 s).

    Raises ApiError ValidationException.
    """
    refuse_puppet(request)
    version = _engine_version(request)
    windows = _windows(request, parts.entropy)
    tags = read_tags(request.get("Tags") or ())
    custom = read_custom_domain(request, parts.clock.now())
    given = read_create_attributes(request.get("EngineAttributes") or ())
    members = _plain_server(parts, call, request) | windows | {"engine_version": version}
    return _completed(parts, given, members, tags, custom)


def read_retention(count: int | None) -> int | None:
    """A request's BackupRetentionCount; UpdateServer's model has no lower limit of its own.

    Raises ApiError ValidationException below 1.
    """
    if count is not None and count < 1:
        raise ApiError("ValidationException", f"BackupRetentionCount must be 1 or more; it is {count}")
    return count


def _completed(
    parts: Parts,
    given: CreateAttributes,
    members: Mapping[str, Any],
    tags: Mapping[str, str],
    custom: CustomDomain | None,
) -> Creation:
    pair = None if given.pivotal_public_key else parts.make_key_pair()
    password = given.admin_password or generate_password(parts.entropy)
    server = Server(
        **members,
        custom_domain=None if custom is None else custom.domain,
        pivotal_public_key=given.pivotal_public_key or (pair.public_pem if pair else ""),
        sealed_admin_password=seal_password(parts.seal, members["server_id"], password),
    )
    return Creation(
        server=server,
        tags=tags,
        custom=custom,
        private_key=pair.private_pem if pair else None,
        generated_password=None if given.admin_password else password,
    )


def _plain_server(parts: Parts, call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    name, source = request["ServerName"], request.get("BackupId")
    groups, subnets = request.get("SecurityGroupIds"), request.get("SubnetIds")
    return {
        "server_id": parts.entropy.uuid(),
        "account_id": call.account_id,
        "region": call.region,
        "name": name,
        "created_at": parts.clock.now(),
        "status": ServerStatus.CREATING,
        "endpoint": parts.endpoints.new(name, call.region, parts.entropy),
        "engine": request["Engine"],
        "engine_model": ENGINE_MODEL,
        "instance_profile_arn": request["InstanceProfileArn"],
        "service_role_arn": request["ServiceRoleArn"],
        "instance_type": request["InstanceType"],
        "key_pair": request.get("KeyPair"),
        "associate_public_ip_address": request.get("AssociatePublicIpAddress", True),
        "disable_automated_backup": request.get("DisableAutomatedBackup", False),
        "backup_retention_count": read_retention(request.get("BackupRetentionCount")) or 1,
        "security_group_ids": None if groups is None else tuple(groups),
        "subnet_ids": None if subnets is None else tuple(subnets),
        "new_instance": None if source is None else NewInstance(source),
    }


def _engine_version(request: Mapping[str, Any]) -> str:
    engine, model = request["Engine"], request.get("EngineModel") or ENGINE_MODEL
    if engine not in ENGINES:
        raise ApiError("ValidationException", f"Engine must be one of {', '.join(ENGINES)}; it is '{engine[:64]}'")
    if model != ENGINE_MODEL:
        raise ApiError("ValidationException", f"EngineModel of {engine} must be {ENGINE_MODEL}; it is '{model[:64]}'")
    asked = request.get("EngineVersion") or _DEFAULT_VERSIONS[engine]
    version = ENGINE_VERSIONS.get(asked, asked)
    if version not in ENGINE_VERSIONS.values():
        known = ", ".join((*ENGINE_VERSIONS, *ENGINE_VERSIONS.values()))
        raise ApiError("ValidationException", f"EngineVersion must be one of {known}; it is '{asked[:64]}'")
    return version


def _windows(request: Mapping[str, Any], entropy: Entropy) -> dict[str, str]:
    maintenance, backup = request.get("PreferredMaintenanceWindow"), request.get("PreferredBackupWindow")
    chosen = {
        "preferred_maintenance_window": default_maintenance_window(entropy)
        if maintenance is None
        else parse_window(maintenance, "PreferredMaintenanceWindow"),
        "preferred_backup_window": default_backup_window(entropy)
        if backup is None
        else parse_window(backup, "PreferredBackupWindow"),
    }
    return {name: str(window) for name, window in chosen.items()}
