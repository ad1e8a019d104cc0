"""The validator against every operation of our services: nothing secret is shown, nothing but ApiError is raised."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.aws.model import Catalogue
from opentrail.aws.validate import MESSAGE_CHARS_MAX, check
from opentrail.errors import ApiError

CATALOGUE = Catalogue()
SERVICES = ("opsworkscm", "cloudtrail", "sts", "iam", "kms", "sns")
OPERATIONS = [(name, operation) for name in SERVICES for operation in CATALOGUE.service(name).operation_names]
CANARY = "C4nary!\x00"


def broken_value(shape: Any, secret: bool = False, depth: int = 0) -> Any:
    """A value in which every sensitive text is the canary, and every constraint there is gets broken where possible."""
    secret = secret or bool(shape.metadata.get("sensitive"))
    kind = shape.type_name
    if kind == "structure":
        return {n: broken_value(m, secret, depth + 1) for n, m in shape.members.items()} if depth < 6 else {}
    if kind == "list":
        return [broken_value(shape.member, secret, depth + 1)] * 3 if depth < 6 else []
    if kind == "map":
        return {CANARY if secret else "k" * 3000: broken_value(shape.value, secret, depth + 1)} if depth < 6 else {}
    if kind == "blob":
        return CANARY.encode() * 1_000
    if kind in ("integer", "long"):
        return 2**31 - 1
    return CANARY if secret else "\x00"


@settings(deadline=None, max_examples=len(OPERATIONS))
@given(st.sampled_from(OPERATIONS))
def test_no_sensitive_value_is_ever_in_a_message(where: tuple[str, str]) -> None:
    """However wrong a request is, the message holds no sensitive text and stays short."""
    operation = CATALOGUE.service(where[0]).operation(where[1])
    if operation.input_shape is None:
        return
    try:
        check(operation, broken_value(operation.input_shape))
    except ApiError as error:
        assert "C4nary" not in error.message
        assert len(error.message) < MESSAGE_CHARS_MAX + 100


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=300)
@given(where=st.sampled_from(OPERATIONS), data=st.data())
def test_any_value_is_accepted_or_an_api_error(where: tuple[str, str], data: st.DataObject) -> None:
    """Values of any type in any member raise ApiError or nothing."""
    operation = CATALOGUE.service(where[0]).operation(where[1])
    shape: Any = operation.input_shape
    if shape is None or not shape.members:
        return
    names = data.draw(st.lists(st.sampled_from(list(shape.members)), unique=True, max_size=3))
    try:
        check(operation, {name: data.draw(JSONISH) for name in names})
    except ApiError as error:
        assert error.code == "ValidationException"
