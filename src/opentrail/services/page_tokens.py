"""Page tokens that say in plain text, made safe for transport, where a list goes on. Pure.

Whoever has one could have made it: it opens nothing, so a service checks only that it is a place in its list.
"""

import base64


def token_of(place: str) -> str:
    """The token of the page that begins after a place."""
    return base64.urlsafe_b64encode(place.encode()).decode()


def place_in(token: str) -> str:
    """The place that a token names. Raises ValueError for what is none."""
    return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
