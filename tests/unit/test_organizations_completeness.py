"""Every operation of Organizations' model is answered or refused with a reason; errors and reasons are the model's."""

import re
from pathlib import Path

import botocore.session
import pytest
from botocore.model import ServiceModel

import opentrail.services.organizations as package
from opentrail.events.classify import is_read_only
from opentrail.services.operation import Handler, handlers_of
from opentrail.services.organizations import UNSUPPORTED, OrganizationsService

_REASON = re.compile(r'(invalid|handshake_constraint|constraint)\(\s*"([A-Z_]+)"')
_SHAPES = {
    "invalid": "InvalidInputExceptionReason",
    "constraint": "ConstraintViolationExceptionReason",
    "handshake_constraint": "HandshakeConstraintViolationExceptionReason",
}


@pytest.fixture(scope="module")
def model() -> ServiceModel:
    """The service model of Organizations."""
    return botocore.session.get_session().get_service_model("organizations")


def _handlers() -> dict[str, Handler]:
    return handlers_of(object.__new__(OrganizationsService))


def _sources() -> list[str]:
    return [source.read_text() for source in sorted(Path(package.__path__[0]).glob("*.py"))]


def test_every_operation_is_handled_or_listed(model: ServiceModel) -> None:
    """Handlers and refusals together are exactly the operations of the model, and do not overlap."""
    handled = set(_handlers())
    assert handled.isdisjoint(UNSUPPORTED)
    assert handled | set(UNSUPPORTED) == set(model.operation_names)


def test_handlers_that_write_are_those_whose_records_say_so() -> None:
    """What takes a unit of work is what a record calls a write, and nothing else."""
    for name, handler in _handlers().items():
        assert handler.writes is not is_read_only("organizations.amazonaws.com", name), name


def test_every_error_code_is_modelled(model: ServiceModel) -> None:
    """Each exception that the handlers mention is an error shape of the model."""
    mentioned = {code for source in _sources() for code in re.findall(r'"(\w+Exception)"', source)}
    mentioned |= {f"{kind}NotFoundException" for kind in ("Parent", "SourceParent", "DestinationParent")}
    assert len(mentioned) > 20
    assert mentioned <= {shape.name for shape in model.error_shapes}


def test_every_reason_is_modelled(model: ServiceModel) -> None:
    """Each reason is one that its error's shape knows."""
    mentioned = [found for source in _sources() for found in _REASON.findall(source)]
    assert len(mentioned) > 20
    for kind, reason in mentioned:
        assert reason in model.shape_for(_SHAPES[kind]).enum, reason


def test_the_documentation_names_every_operation() -> None:
    """docs/organizations.md has what is served and what is refused; the README says how many are served."""
    root = Path(__file__).resolve().parents[2]
    served, _, refused = (root / "docs" / "organizations.md").read_text().partition("## Not served")
    assert set(_handlers()) <= set(re.findall(r"[A-Z]\w+", served))
    assert set(UNSUPPORTED) == set(re.findall(r"[A-Z][a-z]\w*[A-Z]\w+", refused)) - {"OpenTrail"}
    assert f"{len(_handlers())} operations ([docs/organizations.md]" in (root / "README.md").read_text()
