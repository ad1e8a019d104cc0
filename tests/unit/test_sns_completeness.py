"""Every operation of SNS's model is answered or refused with a reason; errors are the model's."""

import re
from pathlib import Path

import botocore.session
import pytest
from botocore.model import ServiceModel

import opentrail.services.sns as package
from opentrail.services.operation import Handler, handlers_of
from opentrail.services.sns import UNSUPPORTED, SnsService


@pytest.fixture(scope="module")
def model() -> ServiceModel:
    """The service model of SNS."""
    return botocore.session.get_session().get_service_model("sns")


def _handlers() -> dict[str, Handler]:
    return handlers_of(object.__new__(SnsService))


def test_every_operation_is_handled_or_listed(model: ServiceModel) -> None:
    """Handlers and refusals together are exactly the operations of the model, and do not overlap."""
    handled = set(_handlers())
    assert handled.isdisjoint(UNSUPPORTED)
    assert handled | set(UNSUPPORTED) == set(model.operation_names)


def test_handlers_that_write_are_those_that_change_something() -> None:
    """Get and List operations take no unit of work; all others do."""
    for name, handler in _handlers().items():
        assert handler.writes == (not name.startswith(("Get", "List"))), name


def test_every_error_code_is_modelled(model: ServiceModel) -> None:
    """Each exception that the handlers mention is an error shape of the model."""
    sources = Path(package.__path__[0]).glob("*.py")
    mentioned = {code for source in sources for code in re.findall(r'"(\w+Exception)"', source.read_text())}
    assert len(mentioned) > 8
    assert mentioned <= {shape.name for shape in model.error_shapes}


def test_the_documentation_names_every_operation() -> None:
    """docs/sns.md has what is served and what is refused."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "sns.md").read_text()
    served, _, refused = text.partition("## Not served")
    assert set(_handlers()) <= set(re.findall(r"[A-Z]\w+", served))
    assert set(UNSUPPORTED) <= set(re.findall(r"[A-Z]\w+", refused))
