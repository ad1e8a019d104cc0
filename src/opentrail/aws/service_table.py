"""The table of services: all that routing needs to know of each, without reading the service's model.

``services.json`` beside this module holds it for botocore's services. ``tools/list_services.py`` writes that file,
because making it means reading every model. Models in further folders (our own) are few and are read at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import orjson
from botocore.loaders import Loader

BOTOCORE_DATA: str = Loader.BUILTIN_DATA_PATH
"""The folder of botocore's own models."""


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """One row of the table of services: everything that routing needs, without reading the model."""

    name: str
    signing_name: str
    endpoint_prefix: str
    protocol: str
    protocols: tuple[str, ...]
    json_version: str | None
    target_prefix: str | None
    api_version: str
    service_id: str
    xml_namespace: str | None

    @classmethod
    def from_metadata(cls, name: str, metadata: Mapping[str, Any]) -> "ServiceEntry":
        """Make a row from the ``metadata`` of a botocore service model that is stored under ``name``."""
        return cls(
            name=name,
            signing_name=metadata.get("signingName") or metadata["endpointPrefix"],
            endpoint_prefix=metadata["endpointPrefix"],
            protocol=metadata["protocol"],
            protocols=tuple(metadata.get("protocols") or (metadata["protocol"],)),
            json_version=metadata.get("jsonVersion"),
            target_prefix=metadata.get("targetPrefix"),
            api_version=metadata["apiVersion"],
            service_id=metadata["serviceId"],
            xml_namespace=metadata.get("xmlNamespace"),
        )


def shipped_entries() -> Iterator[ServiceEntry]:
    """The rows of ``services.json``."""
    for row in orjson.loads(resources.files("opentrail.aws").joinpath("services.json").read_bytes()):
        yield ServiceEntry(**{**row, "protocols": tuple(row["protocols"])})


def read_entries(folders: Sequence[str]) -> list[ServiceEntry]:
    """Rows made from the models in folders of botocore's layout, sorted by name; takes seconds for botocore's own."""
    names = _loader(folders).list_available_services("service-2")
    return [ServiceEntry.from_metadata(name, read_model(folders, name)["metadata"]) for name in sorted(names)]


def read_model(folders: Sequence[str], name: str) -> dict[str, Any]:
    """The newest version of a service's model, from the first folder that has it.

    Raises botocore's DataNotFoundError where no folder does.
    """
    model: dict[str, Any] = _loader(folders).load_service_model(name, "service-2")
    return model


def _loader(folders: Sequence[str]) -> Loader:
    # A new one each time: a Loader keeps every file that it has ever read.
    return Loader(extra_search_paths=list(folders), include_default_search_paths=False)
