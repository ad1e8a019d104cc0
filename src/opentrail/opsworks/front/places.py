"""Which server a client means, by the port or name that it called, and what is shown to it there."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from opentrail.opsworks.custom_domains import CustomDomain, open_private_key, seal_private_key
from opentrail.opsworks.endpoints import LOCAL_HOST, Address
from opentrail.opsworks.rows import server_of
from opentrail.opsworks.server import Server
from opentrail.opsworks.tables import custom_domains, servers
from opentrail.state.database import Database, Unit
from opentrail.state.sealing import Seal


@dataclass(frozen=True, slots=True)
class CustomCertificate:
    """What is shown under a custom domain (PEM)."""

    chain: str
    key: str = field(repr=False)


class Places:
    """Reads and writes where servers are."""

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    def server_at(self, host: str, local_port: int) -> Server | None:
        """The server of a local port, or else the one whose endpoint or custom domain has that host name.

        ``host`` may carry a port, which does not matter: whoever stands in front of us may have another one.
        """
        name = Address.of(host).host
        endpoint = servers.c.settings["endpoint"].as_string()
        own = sa.select(custom_domains.c.server_id).where(custom_domains.c.domain == name)
        wanted = sa.or_(
            endpoint == str(Address(LOCAL_HOST, local_port)),
            endpoint == name,
            endpoint.startswith(f"{name}:", autoescape=True),
            servers.c.server_id.in_(own),
        )
        with self._database.read() as connection:
            found = [server_of(row) for row in connection.execute(sa.select(servers).where(wanted))]
        local = [server for server in found if server.endpoint == str(Address(LOCAL_HOST, local_port))]
        named = [server for server in found if not Address.of(server.endpoint).is_local or server.custom_domain == name]
        return next(iter(local or named), None)

    def certificate_for(self, name: str) -> CustomCertificate | None:
        """The certificate of a custom domain. Raises IntegrityError where its key cannot be opened."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(custom_domains).where(custom_domains.c.domain == name.lower())).first()
        if row is None:
            return None
        return CustomCertificate(row.certificate, open_private_key(self._seal, row.server_id, row.sealed_key))

    def is_endpoint(self, name: str) -> bool:
        """Whether some server's endpoint has that host name."""
        endpoint = servers.c.settings["endpoint"].as_string()
        wanted = sa.or_(endpoint == name, endpoint.startswith(f"{name}:", autoescape=True))
        with self._database.read() as connection:
            return connection.execute(sa.select(servers.c.server_id).where(wanted)).first() is not None


def custom_certificate(connection: sa.Connection, server_id: str) -> str | None:
    """The certificate chain (PEM) of a server's custom domain; None where it has none."""
    query = sa.select(custom_domains.c.certificate).where(custom_domains.c.server_id == server_id)
    return connection.execute(query).scalar()


def has_domain(connection: sa.Connection, domain: str) -> bool:
    """Whether a server has that custom domain already."""
    query = sa.select(custom_domains.c.server_id).where(custom_domains.c.domain == domain)
    return connection.execute(query).first() is not None


def add_custom_domain(unit: Unit, seal: Seal, server_id: str, custom: CustomDomain) -> None:
    """Store a new server's custom domain, its key sealed; the caller has checked that the name is free."""
    values: Mapping[str, object] = {
        "domain": custom.domain,
        "server_id": server_id,
        "certificate": custom.certificate,
        "sealed_key": seal_private_key(seal, server_id, custom),
    }
    unit.execute(sa.insert(custom_domains).values(values))
