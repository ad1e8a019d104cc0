"""The service models that AWS tools lack, laid out for AWS_DATA_PATH: OpsWorks CM's, and our own service's."""

import shutil
from importlib.resources import as_file, files
from pathlib import Path

from opentrail.services.opentrail import MODEL_PATH
from opentrail.state.home import Home


def install_models(home: Home) -> None:
    """Copy the models into HOME/models, where they are not there yet or differ."""
    _install(MODEL_PATH / "opentrail", home.models / "opentrail")
    with as_file(files("botocore") / "data" / "opsworkscm") as shipped:
        _install(shipped, home.models / "opsworkscm")


def _install(source: Path, target: Path) -> None:
    for file in sorted(source.rglob("*.json*")):
        place = target / file.relative_to(source)
        if place.exists() and place.read_bytes() == file.read_bytes():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_name(f".{place.name}.new")
        shutil.copyfile(file, partial)
        partial.replace(place)
