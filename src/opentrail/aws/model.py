"""Service models: which services exist, and what each of their operations takes and answers.

The models are botocore's (and, in the same layout, our own). Reading all of them costs seconds, so finding a service
uses a small table made beforehand (``service_table``); a service's own model is read on first use, and only the most
recently used models stay in memory. All of this may be used from several threads.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from botocore.exceptions import DataNotFoundError
from botocore.model import OperationModel, ServiceModel, Shape, StructureShape

from opentrail.aws.service_table import BOTOCORE_DATA, ServiceEntry, read_entries, read_model, shipped_entries
from opentrail.errors import ApiError, OpenTrailError

MODELS_KEPT = 48
"""How many service models stay in memory. Most take 1 MB, the largest 16 (EC2)."""

TARGET_ALIASES: Mapping[str, str] = MappingProxyType(
    # Old SDKs send the short prefix (cloudtrail fact sheet 0).
    {"CloudTrail_20131101": "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101"}
)

EVENT_SOURCES: Mapping[str, str] = MappingProxyType(
    # Where the name in event records is not the signing name, by the name of the model's folder.
    {
        "rds-data": "rdsdata.amazonaws.com",  # cloudtrail fact sheet 6.5
        "iotsecuretunneling": "iotsecuredtunneling.amazonaws.com",  # cloudtrail fact sheet, appendix C
        # CloudFront Developer Guide, "Logging Amazon CloudFront API calls using AWS CloudTrail", example UpdateKeys
        "cloudfront-keyvaluestore": "edgekeyvaluestore.amazonaws.com",
        # AWS Service Catalog AppRegistry Administrator Guide, CloudTrail log entry CreateApplication
        "servicecatalog-appregistry": "servicecatalog-appregistry.amazonaws.com",
        # AWS Marketplace Seller Guide, CloudTrail log entry BatchMeterUsage
        "meteringmarketplace": "metering-marketplace.amazonaws.com",
        # Amazon EC2 User Guide, CloudTrail log entry RegisterScalableTarget
        "application-autoscaling": "autoscaling.amazonaws.com",
        # IAM Identity Center User Guide, "Logging with AWS CloudTrail": access portal and OIDC (GetRoleCredentials,
        # CreateToken)
        "sso": "sso.amazonaws.com",
        "sso-oidc": "sso.amazonaws.com",
    }
)

_AWS_HOST = re.compile(r"(?P<name>.+?)(?:\.[a-z]{2}(?:-[a-z]+)+-\d+)?\.(?:amazonaws\.com(?:\.cn)?|api\.aws)")
_HOST_CHARS_MAX = 255


class UnknownServiceError(OpenTrailError):
    """No service has that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no service model is called {name!r}")
        self.name = name


class UnknownOperationError(ApiError):
    """The service has no operation of that name (opsworks-cm fact sheet 2.1, general errors)."""

    def __init__(self, service: str, operation: str) -> None:
        super().__init__("UnknownOperationException", f"The operation {operation} is not an operation of {service}")


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation of a service. Shapes are botocore's; None where the operation takes or answers nothing."""

    name: str
    service: "Service"
    input_shape: StructureShape | None
    output_shape: StructureShape | None
    http_method: str
    http_uri: str
    success_status: int
    """The status of a successful answer, unless a member of it is bound to the status."""
    streams_in: bool
    """Whether the request's body is a streaming blob: data, of any size."""
    streams_out: bool
    """Whether a successful answer's body is a streaming blob."""
    event_stream_in: bool
    """Whether the request's body is a stream of events."""
    event_stream_out: bool
    """Whether a successful answer's body is a stream of events."""
    readonly_trait: bool | None
    """What the model says of its being read-only; None where it says nothing, which most models do."""
    open_to_all: bool
    """Whether it is called without a signature: what proves the caller stands in the request (a password, a code)."""
    unsigned_payload_allowed: bool
    """Whether a signature may leave out the body (``authtype`` v4-unsigned-body, or ``unsignedPayload``)."""


class Service:
    """One service. The attributes come from the table; operations and error shapes read the model when first asked."""

    __slots__ = ("_catalogue", "_entry")

    def __init__(self, catalogue: "Catalogue", entry: ServiceEntry) -> None:
        self._catalogue = catalogue
        self._entry = entry

    def __repr__(self) -> str:
        return f"Service({self.name!r})"

    @property
    def name(self) -> str:
        """The folder that the model is stored in: ``opsworkscm``, ``cloudtrail``."""
        return self._entry.name

    @property
    def signing_name(self) -> str:
        """The service part of a credential scope: ``opsworks-cm``."""
        return self._entry.signing_name

    @property
    def endpoint_prefix(self) -> str:
        """The first labels of AWS's host name for it: ``monitoring``, ``streams.dynamodb``."""
        return self._entry.endpoint_prefix

    @property
    def protocol(self) -> str:
        """json, query, rest-json, rest-xml, ec2 or smithy-rpc-v2-cbor: the one that the model names first."""
        return self._entry.protocol

    @property
    def protocols(self) -> tuple[str, ...]:
        """Every protocol that the service speaks, in the model's order."""
        return self._entry.protocols

    @property
    def json_version(self) -> str | None:
        """``1.0`` or ``1.1`` for the JSON protocol, else None."""
        return self._entry.json_version

    @property
    def target_prefix(self) -> str | None:
        """What stands before the operation in ``X-Amz-Target``; None where that header is not used."""
        return self._entry.target_prefix

    @property
    def api_version(self) -> str:
        """The model's date: ``2013-11-01``."""
        return self._entry.api_version

    @property
    def service_id(self) -> str:
        """The SDKs' name for the service: ``OpsWorksCM``."""
        return self._entry.service_id

    @property
    def event_source(self) -> str:
        """``eventSource`` in event records (cloudtrail fact sheet 1.2): ``opsworks-cm.amazonaws.com``."""
        return EVENT_SOURCES.get(self.name) or f"{self.signing_name}.amazonaws.com"

    @property
    def xml_namespace(self) -> str | None:
        """The namespace of XML answers, for the protocols that have them."""
        return self._entry.xml_namespace

    @property
    def is_in_memory(self) -> bool:
        """Whether operations can be asked for without reading the model, which takes up to a second."""
        return self._catalogue.holds(self.name)

    @property
    def operation_names(self) -> tuple[str, ...]:
        """The names of all operations, in the model's order."""
        return tuple(self._catalogue.loaded(self.name).model.operation_names)

    def operation(self, name: str) -> Operation:
        """The operation of that name. Raises UnknownOperationError."""
        loaded = self._catalogue.loaded(self.name)
        found = loaded.operations.get(name)
        if found is None:
            if name not in loaded.model.operation_names:
                raise UnknownOperationError(self.name, name)
            made = _operation(self, loaded.model.operation_model(name), loaded.descriptions[name])
            found = loaded.operations.setdefault(name, made)
        return found

    def error_shape(self, code: str) -> Shape | None:
        """The shape of a modelled error, by its name or by its code on the wire; None for unmodelled errors."""
        return self._catalogue.loaded(self.name).errors.get(code)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory, with what has been derived from it so far."""

    model: ServiceModel
    descriptions: Mapping[str, Mapping[str, Any]]
    operations: dict[str, Operation]
    errors: Mapping[str, Shape]


class Catalogue:
    """Every service that can be described: botocore's, and those in further folders of the same layout.

    A service in a further folder replaces botocore's of the same name. ``~/.aws/models`` is not searched: what the
    server answers must not depend on whose home it runs in.
    """

    def __init__(self, extra_data_paths: Sequence[Path] = ()) -> None:
        extra = [str(path) for path in extra_data_paths]
        self._paths = [*extra, BOTOCORE_DATA]
        entries = {entry.name: entry for entry in (*shipped_entries(), *read_entries(extra))}
        self._services = {name: Service(self, entry) for name, entry in entries.items()}
        self._by_target = _grouped(self._services.values(), "target_prefix")
        self._by_signing_name = _grouped(self._services.values(), "signing_name")
        self._by_endpoint = _grouped(self._services.values(), "endpoint_prefix")
        self._loaded: OrderedDict[str, LoadedModel] = OrderedDict()
        self._lock = threading.Lock()

    def service(self, name: str) -> Service:
        """The service stored under ``name``. Raises UnknownServiceError."""
        found = self._services.get(name)
        if found is None:
            raise UnknownServiceError(name)
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all services, sorted."""
        return tuple(sorted(self._services))

    def is_named(self, name: str) -> bool:
        """Whether a service is called so: by its model, its signatures or its host names."""
        return name in self._services or name in self._by_signing_name or name in self._by_endpoint

    def find(
        self, *, target: str | None = None, signing_name: str | None = None, host: str | None = None
    ) -> Service | None:
        """Which service a request is for, the likeliest of ``candidates``; None if nothing in the request names one."""
        return next(iter(self.candidates(target=target, signing_name=signing_name, host=host)), None)

    def candidates(
        self, *, target: str | None = None, signing_name: str | None = None, host: str | None = None
    ) -> tuple[Service, ...]:
        """The services that a request may be for, the likeliest first; empty if nothing in the request names one.

        ``target`` is the X-Amz-Target header, ``signing_name`` the service in the credential scope, ``host`` the Host
        header. The target's prefix wins, then the signing name. Services that share one are told apart by the host; if
        that says nothing, the one whose own name or endpoint prefix it is comes first, then the alphabet decides (and
        the operation that is asked for, which is not looked at here). The host alone counts only where it is a host
        name of AWS's.
        """
        prefix, dot, _ = (target or "").rpartition(".")
        found = self._by_target.get(TARGET_ALIASES.get(prefix, prefix), ()) if dot else ()
        found = found or self._by_signing_name.get(signing_name or "", ())
        labels = (host or "")[:_HOST_CHARS_MAX].partition(":")[0].lower()
        if not found:
            on_aws = _AWS_HOST.fullmatch(labels)
            found = self._by_endpoint.get(on_aws["name"].removesuffix("-fips"), ()) if on_aws else ()
        if len(found) < 2:
            return found
        return tuple(sorted(found, key=lambda service: _rank(service, signing_name, labels)))

    def holds(self, name: str) -> bool:
        """Whether a service's model is in memory."""
        return name in self._loaded

    def loaded(self, name: str) -> LoadedModel:
        """The model of a service, from memory or from disk. Raises UnknownServiceError."""
        with self._lock:
            found = self._loaded.get(name)
            if found is not None:
                self._loaded.move_to_end(name)
                return found
        fresh = _load(self._paths, name)
        with self._lock:
            # Another thread may have read the same model meanwhile; keep the first, so that shapes stay identical.
            found = self._loaded.setdefault(name, fresh)
            while len(self._loaded) > MODELS_KEPT:
                self._loaded.popitem(last=False)
            return found


def _load(paths: list[str], name: str) -> LoadedModel:
    try:
        description = read_model(paths, name)
    except DataNotFoundError:
        raise UnknownServiceError(name) from None
    model = ServiceModel(description, name)
    errors = {shape.metadata.get("error", {}).get("code", shape.name): shape for shape in model.error_shapes}
    errors.update({shape.name: shape for shape in model.error_shapes})
    return LoadedModel(model, description.get("operations", {}), {}, errors)


def _operation(service: Service, model: OperationModel, description: Mapping[str, Any]) -> Operation:
    # Whether an operation is read-only is in the models, but not in botocore's view of them.
    return Operation(
        name=model.name,
        service=service,
        input_shape=model.input_shape,
        output_shape=model.output_shape,
        http_method=model.http.get("method", "POST"),
        http_uri=model.http.get("requestUri", "/"),
        success_status=model.http.get("responseCode", 200),
        streams_in=_streams(model.get_streaming_input()),
        streams_out=_streams(model.get_streaming_output()),
        event_stream_in=model.has_event_stream_input,
        event_stream_out=model.has_event_stream_output,
        readonly_trait=description.get("readonly"),
        open_to_all=model.auth_type == "none" or model.auth == ["smithy.api#noAuth"],
        unsigned_payload_allowed=model.auth_type == "v4-unsigned-body" or bool(model.unsigned_payload),
    )


def _streams(payload: Shape | None) -> bool:
    """Whether a blob that is the payload has the streaming trait; those without are small, and read like others."""
    return payload is not None and bool(payload.serialization.get("streaming"))


def _grouped(services: Iterable[Service], attribute: str) -> dict[str, tuple[Service, ...]]:
    groups: dict[str, tuple[Service, ...]] = {}
    for service in services:
        key = getattr(service, attribute)
        if key is not None:
            groups[key] = (*groups.get(key, ()), service)
    return groups


def _rank(service: Service, signing_name: str | None, host: str) -> tuple[bool, int, bool, bool, str]:
    prefix = service.endpoint_prefix
    on_host = host == prefix or host.startswith((f"{prefix}.", f"{prefix}-fips."))
    return (
        not on_host,
        -len(prefix) if on_host else 0,
        service.name != signing_name,
        prefix != signing_name,
        service.name,
    )
