"""Links to cookbook files: the engine asks nobody for a signature there, so a link carries one of ours.

A link is good for one server, file and direction (reading, writing), for LINK_LIFE_S. Pure (fact sheet 12.5).
"""

import hashlib
import hmac
from urllib.parse import parse_qs

LINK_LIFE_S = 900
_HEX_LENGTH = 64


class FileLinks:
    """Makes and checks the query strings of links, with a key of the installation's."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def query(self, server_id: str, checksum: str, now_s: int, *, writes: bool) -> str:
        """The query string of a new link."""
        expires_s = now_s + LINK_LIFE_S
        return f"expires={expires_s}&signature={self._sign(server_id, checksum, expires_s, writes=writes)}"

    def allows(self, query: str, server_id: str, checksum: str, now_s: int, *, writes: bool) -> bool:
        """Whether a query string is that of a link of ours which is still good."""
        try:
            given = parse_qs(query, strict_parsing=True, max_num_fields=4)
        except ValueError:
            return False
        expires, signature = given.get("expires", [""])[0], given.get("signature", [""])[0]
        if not (expires.isascii() and expires.isdecimal() and len(expires) <= 12 and len(signature) == _HEX_LENGTH):
            return False
        expected = self._sign(server_id, checksum, int(expires), writes=writes)
        return hmac.compare_digest(signature.encode("utf-8"), expected.encode("ascii")) and now_s <= int(expires)

    def _sign(self, server_id: str, checksum: str, expires_s: int, *, writes: bool) -> str:
        text = f"{server_id}/{checksum}/{'write' if writes else 'read'}/{expires_s}"
        return hmac.new(self._key, text.encode("utf-8"), hashlib.sha256).hexdigest()
