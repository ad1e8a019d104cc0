"""The engine attributes of CreateServer, in both spellings, and the credentials of its answer.

Rules: opsworks-cm fact sheet 6.1 and 6.2. Values are secrets: no message here repeats one.
"""

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from opentrail.clock import Entropy
from opentrail.errors import ApiError
from opentrail.opsworks.keys import read_public_key

PIVOTAL_KEY = "CHEF_AUTOMATE_PIVOTAL_KEY"
ADMIN_PASSWORD = "CHEF_AUTOMATE_ADMIN_PASSWORD"  # noqa: S105 - the attribute's name
STARTER_KIT = "CHEF_STARTER_KIT"
MAJOR_UPGRADE = "CHEF_MAJOR_UPGRADE"
OLD_NAMES: Mapping[str, str] = {
    "CHEF_PIVOTAL_KEY": PIVOTAL_KEY,
    "CHEF_DELIVERY_ADMIN_PASSWORD": ADMIN_PASSWORD,
}
"""The names of 2016 to 2018 -> today's."""

PASSWORD_SPECIALS = "!/@#$%^&+=_"  # noqa: S105 - the characters that a password may contain
_RULE = (
    "must have 8 to 32 characters, only letters, digits and !/@#$%^&+=_, "
    "with at least one lower case letter, one upper case letter, one digit and one special character"
)
_PASSWORD_CLASSES = (string.ascii_lowercase, string.ascii_uppercase, string.digits, PASSWORD_SPECIALS)
_PASSWORD_LENGTHS = range(8, 33)
_GENERATED_LENGTH = 24


@dataclass(frozen=True, slots=True)
class CreateAttributes:
    """What the caller chose: pivotal's public key (SPKI PEM) and the admin password, each None where we choose."""

    pivotal_public_key: str | None
    admin_password: str | None = field(repr=False)


def read_create_attributes(given: Sequence[Mapping[str, str]]) -> CreateAttributes:
    """Read CreateServer's ``EngineAttributes``.

    Raises ApiError ValidationException for a name that is not one of them, one given twice (also in two spellings), a
    missing value, a key that is not RSA of at least 2048 bits, or a password that breaks the rule.
    """
    values: dict[str, str] = {}
    for attribute in given:
        sent = attribute.get("Name", "")
        name = OLD_NAMES.get(sent, sent)
        if name not in {PIVOTAL_KEY, ADMIN_PASSWORD}:
            raise _invalid(f"Engine attribute {sent[:64]!r} is not one that CreateServer takes for Chef")
        if name in values:
            raise _invalid(f"Engine attribute {name} was given more than once")
        if not attribute.get("Value"):
            raise _invalid(f"Engine attribute {name} has no value")
        values[name] = attribute["Value"]
    key = read_key_attribute(PIVOTAL_KEY, values.get(PIVOTAL_KEY))
    return CreateAttributes(key, _password(values.get(ADMIN_PASSWORD)))


def read_key_attribute(name: str, text: str | None) -> str | None:
    """The public key in the attribute of that name, in SPKI form; None stays None.

    Raises ApiError ValidationException where it is not RSA of at least 2048 bits; it never repeats the value.
    """
    if text is None:
        return None
    try:
        return read_public_key(text)
    except ValueError as problem:
        raise _invalid(
            f"Engine attribute {name} must be an RSA public key of at least 2048 bits in PEM form: {problem}"
        ) from None


def read_maintenance_attributes(given: Sequence[Mapping[str, str]]) -> bool:
    """Read StartMaintenance's ``EngineAttributes``: whether a major upgrade of Chef is asked for.

    Raises ApiError ValidationException for a name that is not ``CHEF_MAJOR_UPGRADE``, one given twice, or a value that
    is not ``true`` (opsworks-cm fact sheet 4).
    """
    for attribute in given:
        name = attribute.get("Name", "")
        if name != MAJOR_UPGRADE:
            raise _invalid(f"Engine attribute {name[:64]!r} is not one that StartMaintenance takes for Chef")
        if attribute.get("Value") != "true":
            raise _invalid(f"Engine attribute {MAJOR_UPGRADE} must be true")
    if len(given) > 1:
        raise _invalid(f"Engine attribute {MAJOR_UPGRADE} was given more than once")
    return bool(given)


def is_password(text: str) -> bool:
    """Whether a text keeps the rule of admin passwords (opsworks-cm fact sheet 6.1)."""
    allowed = set("".join(_PASSWORD_CLASSES))
    return (
        len(text) in _PASSWORD_LENGTHS
        and set(text) <= allowed
        and all(set(text) & set(kind) for kind in _PASSWORD_CLASSES)
    )


def generate_password(entropy: Entropy) -> str:
    """A password that keeps the rule, with about 120 bits of chance."""
    each = "".join(entropy.text(1, kind) for kind in _PASSWORD_CLASSES)
    return each + entropy.text(_GENERATED_LENGTH - len(each), "".join(_PASSWORD_CLASSES))


def credentials(
    engine: str, *, private_key: str | None, starter_kit: str, admin_password: str | None
) -> list[dict[str, str]]:
    """The engine attributes of the CreateServer answer, the only time they are shown.

    ``starter_kit`` is base64; what the caller chose is None and left out. Engine ``Chef`` gets the old names.
    """
    old = {new: before for before, new in OLD_NAMES.items()} if engine == "Chef" else {}
    shown = ((PIVOTAL_KEY, private_key), (STARTER_KIT, starter_kit), (ADMIN_PASSWORD, admin_password))
    return [{"Name": old.get(name, name), "Value": value} for name, value in shown if value is not None]


def _password(text: str | None) -> str | None:
    if text is not None and not is_password(text):
        raise _invalid(f"Engine attribute {ADMIN_PASSWORD} {_RULE}")
    return text


def _invalid(message: str) -> ApiError:
    return ApiError("ValidationException", message)
