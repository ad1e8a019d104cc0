"""The engine attributes of AssociateNode, DisassociateNode and UpdateServerEngineAttributes, in every spelling.

Rules: opsworks-cm fact sheet 6.3 and 6.4. Values are secrets: no message here repeats one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opentrail.errors import ApiError
from opentrail.opsworks.attributes import OLD_NAMES, PIVOTAL_KEY, read_key_attribute
from opentrail.opsworks.nodes import DEFAULT_ORGANIZATION

ORGANIZATION = "CHEF_AUTOMATE_ORGANIZATION"
NODE_PUBLIC_KEY = "CHEF_AUTOMATE_NODE_PUBLIC_KEY"
NODE_OLD_NAMES: Mapping[str, str] = {"CHEF_ORGANIZATION": ORGANIZATION, "CHEF_NODE_PUBLIC_KEY": NODE_PUBLIC_KEY}
"""The names of 2017 to 2018, which the model's own documentation still has -> today's."""

_GENERATE = "null"


@dataclass(frozen=True, slots=True)
class NodeAttributes:
    """The organization, ``default`` where none was given, and the node's key in SPKI form."""

    organization: str
    public_key: str


def read_association(given: Sequence[Mapping[str, str]]) -> NodeAttributes:
    """Read AssociateNode's ``EngineAttributes``.

    Raises ApiError ValidationException for a name that is not one of them, one given twice (also in two spellings), a
    missing value, and a key that is missing or not RSA of at least 2048 bits.
    """
    values = _values(given, {ORGANIZATION, NODE_PUBLIC_KEY}, "AssociateNode")
    key = read_key_attribute(NODE_PUBLIC_KEY, values.get(NODE_PUBLIC_KEY))
    if key is None:
        raise ApiError("ValidationException", f"Engine attribute {NODE_PUBLIC_KEY} is missing")
    return NodeAttributes(values.get(ORGANIZATION, DEFAULT_ORGANIZATION), key)


def read_disassociation(given: Sequence[Mapping[str, str]]) -> str:
    """Read DisassociateNode's ``EngineAttributes``: the organization. A public key does no harm and is not looked at,
    as callers pass the attributes of the association again.

    Raises ApiError ValidationException as ``read_association`` does for names and missing values.
    """
    values = _values(given, {ORGANIZATION, NODE_PUBLIC_KEY}, "DisassociateNode")
    return values.get(ORGANIZATION, DEFAULT_ORGANIZATION)


def read_pivotal_key(name: str, value: str | None) -> str | None:
    """Read UpdateServerEngineAttributes: pivotal's new public key (SPKI PEM), or None where we shall make a pair.

    Raises ApiError ValidationException for any other attribute, and for a key that is not RSA of at least 2048 bits.
    """
    if OLD_NAMES.get(name, name) != PIVOTAL_KEY:
        raise ApiError("ValidationException", f"Engine attribute {name} cannot be changed; only {PIVOTAL_KEY} can")
    if value is None or value == _GENERATE:
        return None
    return read_key_attribute(PIVOTAL_KEY, value)


def _values(given: Sequence[Mapping[str, str]], known: set[str], operation: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for attribute in given:
        sent = attribute.get("Name", "")
        name = NODE_OLD_NAMES.get(sent, sent)
        if name not in known:
            text = f"Engine attribute {sent[:64]!r} is not one that {operation} takes for Chef"
            raise ApiError("ValidationException", text)
        if name in values:
            raise ApiError("ValidationException", f"Engine attribute {name} was given more than once")
        if not attribute.get("Value"):
            raise ApiError("ValidationException", f"Engine attribute {name} has no value")
        values[name] = attribute["Value"]
    return values
