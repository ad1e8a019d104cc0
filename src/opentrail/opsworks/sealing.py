"""A new server's admin password from its CreateServer answer until its engine knows it: sealed, never in clear.

The seal is the installation's own (``state.sealing``); the server's id is the context, so that no row can pass for
another's.
"""

from opentrail.errors import IntegrityError
from opentrail.opsworks.server import Server
from opentrail.state.sealing import Seal


def seal_password(seal: Seal, server_id: str, password: str) -> bytes:
    """The password in the form that may be stored."""
    return seal.seal(password.encode("utf-8"), _context(server_id))


def open_password(seal: Seal, server: Server) -> str:
    """The password again.

    Raises IntegrityError where it is gone, was changed, or was sealed with another key.
    """
    if server.sealed_admin_password is None:
        raise IntegrityError(f"the sealed admin password of server {server.server_id} is gone")
    return seal.open(server.sealed_admin_password, _context(server.server_id)).decode("utf-8")


def _context(server_id: str) -> str:
    return f"opsworks-cm/{server_id}/admin-password"
