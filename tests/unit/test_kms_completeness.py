"""Every operation of KMS's model is answered or refused with a reason; errors are the model's."""

import re
from pathlib import Path

import botocore.session
import pytest
from botocore.model import ServiceModel

import opentrail.kms as domain
import opentrail.services.kms as package
from opentrail.events.classify import is_read_only
from opentrail.services.kms import UNSUPPORTED
from tests.support.kms_world import KmsWorld

# Errors that all services have: their models do not list them.
COMMON = {"AccessDeniedException", "ValidationException"}


@pytest.fixture(scope="module")
def model() -> ServiceModel:
    """The service model of KMS."""
    return botocore.session.get_session().get_service_model("kms")


def test_every_operation_is_handled_or_listed(model: ServiceModel) -> None:
    """Handlers and refusals together are exactly the operations of the model, and do not overlap."""
    handled = set(KmsWorld().handlers)
    assert handled.isdisjoint(UNSUPPORTED)
    assert handled | set(UNSUPPORTED) == set(model.operation_names)


def test_handlers_that_write_are_those_whose_records_say_so() -> None:
    """What takes a unit of work is what a record calls a write, and nothing else."""
    for name, handler in KmsWorld().handlers.items():
        assert handler.writes is not is_read_only("kms.amazonaws.com", name), name


def test_every_error_code_is_modelled(model: ServiceModel) -> None:
    """Each exception that handlers and domain mention is an error shape of the model."""
    sources = [path for found in (package, domain) for path in Path(found.__path__[0]).glob("*.py")]
    mentioned = {code for source in sources for code in re.findall(r'"(\w+Exception)"', source.read_text())}
    assert len(mentioned) > 12
    assert mentioned <= {shape.name for shape in model.error_shapes} | COMMON


def test_the_documentation_names_every_operation() -> None:
    """docs/kms.md has what is served and what is refused."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "kms.md").read_text()
    served, _, refused = text.partition("## Not served")
    assert set(KmsWorld().handlers) <= set(re.findall(r"[A-Z]\w+", served))
    assert set(UNSUPPORTED) <= set(re.findall(r"[A-Z]\w+", refused))
