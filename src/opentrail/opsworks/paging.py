"""Page tokens that only we can make.

A token says where a list goes on and is authenticated together with the list it belongs to (operation, account, region,
filter), so that a forged token, or another list's, is refused (opsworks-cm fact sheet 13, trap 9).
"""

import base64
import binascii
import hashlib
import hmac

from opentrail.errors import ApiError

_PLACE_BYTES = 8
_SEAL_BYTES = 24


class PageTokens:
    """Makes and reads tokens with a secret key of at least 16 bytes."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 16:  # a shorter key is a mistake in how we were put together
            raise ValueError("a page token key has at least 16 bytes")
        self._key = key

    def make(self, scope: tuple[str, ...], place: int) -> str:
        """The token for the page after ``place``, a row number, of the list that ``scope`` names."""
        text = place.to_bytes(_PLACE_BYTES, "big")
        return base64.urlsafe_b64encode(text + self._seal(scope, text)).decode("ascii")

    def read(self, scope: tuple[str, ...], token: str) -> int:
        """The place that a token of this list stands for.

        Raises ApiError InvalidNextTokenException where we did not make it for this list.
        """
        try:
            raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error):
            raise _refusal() from None
        text, seal = raw[:_PLACE_BYTES], raw[_PLACE_BYTES:]
        if len(text) != _PLACE_BYTES or not hmac.compare_digest(seal, self._seal(scope, text)):
            raise _refusal()
        return int.from_bytes(text, "big")

    def _seal(self, scope: tuple[str, ...], text: bytes) -> bytes:
        parts = [part.encode("utf-8", "surrogatepass") for part in scope]
        framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.new(self._key, framed + text, hashlib.sha256).digest()[:_SEAL_BYTES]


def _refusal() -> ApiError:
    return ApiError("InvalidNextTokenException", "The provided NextToken is not valid")
