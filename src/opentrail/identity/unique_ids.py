"""IAM's unique identifiers: a four-letter prefix for the kind, then random characters (cloudtrail fact sheet 2.1)."""

import re

from opentrail.clock import Entropy

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_ACCESS_KEY = re.compile(r"[A-Za-z0-9_]{16,128}")
_ACCOUNT = re.compile(r"[0-9]{12}")


def user_id(entropy: Entropy) -> str:
    """The unique id of a new IAM user, 21 characters."""
    return "AIDA" + entropy.text(17, _ALPHABET)


def role_id(entropy: Entropy) -> str:
    """The unique id of a new role, 21 characters."""
    return "AROA" + entropy.text(17, _ALPHABET)


def access_key_id(entropy: Entropy, *, temporary: bool = False) -> str:
    """The id of a new access key, 20 characters."""
    return ("ASIA" if temporary else "AKIA") + entropy.text(16, _ALPHABET)


def secret_access_key(entropy: Entropy) -> str:
    """A new secret access key, 40 characters."""
    return entropy.text(40, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def is_access_key_id(text: str) -> bool:
    """Whether IAM would take it as an access key id (16 to 128 word characters)."""
    return _ACCESS_KEY.fullmatch(text) is not None


def is_account_id(text: str) -> bool:
    """Whether it is twelve digits."""
    return _ACCOUNT.fullmatch(text) is not None
