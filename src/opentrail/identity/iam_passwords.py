"""Passwords of login profiles: hashed with scrypt, checked in constant time, and the rules that a new one follows.

The rules are those of an AWS account without a password policy of its own.
"""

import base64
import hashlib
import hmac
import string

from opentrail.clock import Entropy

CHARS_MIN = 8
_COST = (2**14, 8, 1)  # n, r, p: about 50 ms and 16 MB
_SALT_BYTES = 16
_SYMBOLS = "!@#$%^&*()_+-=[]{}|'"
_KINDS = (string.ascii_uppercase, string.ascii_lowercase, string.digits, _SYMBOLS)


def complaint(password: str) -> str | None:
    """Why a password is not taken, in AWS's words; None where it is."""
    if len(password) < CHARS_MIN:
        return f"Password should have a minimum length of {CHARS_MIN}"
    if sum(any(character in kind for character in password) for kind in _KINDS) < 3:
        return (
            "Password should have at least three of the following character types: uppercase letters, lowercase "
            "letters, numbers, and non-alphanumeric characters"
        )
    return None


def hashed(password: str, entropy: Entropy) -> str:
    """What is kept of a password: ``scrypt$n$r$p$salt$hash``."""
    salt = entropy.token(_SALT_BYTES)
    digest = _scrypt(password, salt, _COST)
    return "$".join(
        ["scrypt", *(str(number) for number in _COST), *(base64.b64encode(x).decode() for x in (salt, digest))]
    )


def is_password(password: str, kept: str) -> bool:
    """Whether it is the password of which ``hashed`` kept this."""
    _, n, r, p, salt, digest = kept.split("$")
    found = _scrypt(password, base64.b64decode(salt), (int(n), int(r), int(p)))
    return hmac.compare_digest(found, base64.b64decode(digest))


def _scrypt(password: str, salt: bytes, cost: tuple[int, int, int]) -> bytes:
    n, r, p = cost
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=64 * 1024 * 1024, dklen=32)
