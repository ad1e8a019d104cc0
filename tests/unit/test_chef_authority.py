"""The door's authority and the certificates that it shows: kept, sealed, verified by a stranger, renewed in time."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from opentrail.errors import IntegrityError
from opentrail.gateway.chef_tls import LOCAL_NAMES, ChefTls
from opentrail.opsworks.authority import open_authority
from opentrail.opsworks.front.places import Places
from opentrail.opsworks.rows import server_of
from opentrail.opsworks.tables import authorities, servers
from opentrail.state.authorities import LEAF_DAYS
from opentrail.state.database import Database
from tests.support.opsworks import create_request, fake_world, new_seal

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NAME = "automate-06-abcdefghijklmnop.us-east-1.opsworks-cm.io"


class SetClock:
    """A clock that stands where it is put."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


@pytest.fixture
def database() -> Database:
    made = Database(None)
    made.create_tables()
    return made


def test_the_authority_is_made_once_and_sealed(database: Database) -> None:
    """The next start has the same one; another sealing key opens nothing; the key is not in clear."""
    seal = new_seal()
    first = open_authority(database, seal, NOW)
    assert open_authority(database, seal, NOW + timedelta(days=1)).certificate_pem == first.certificate_pem
    with database.read() as connection:
        row = connection.execute(sa.select(authorities)).one()
    assert b"PRIVATE" not in row.sealed_key
    with pytest.raises(IntegrityError):
        open_authority(database, new_seal(), NOW)


@pytest.mark.parametrize("name", [NAME, "a" * 40 + "." + "b" * 60 + ".example.org"])
def test_leaves_are_verified_by_a_stranger(database: Database, name: str) -> None:
    """cryptography's own verifier accepts them for their name, within their time, and for nothing else."""
    authority = open_authority(database, new_seal(), NOW)
    leaf = authority.issue((name,), NOW)
    chain = x509.load_pem_x509_certificates(leaf.chain)
    store = Store(x509.load_pem_x509_certificates(authority.certificate_pem.encode()))
    builder = PolicyBuilder().store(store)
    builder.time(NOW).build_server_verifier(x509.DNSName(name)).verify(chain[0], [])
    for at, wanted in ((NOW, "other.example.org"), (NOW + timedelta(days=LEAF_DAYS + 1), name)):
        with pytest.raises(x509.verification.VerificationError):
            builder.time(at).build_server_verifier(x509.DNSName(wanted)).verify(chain[0], [])


def test_certificates_are_kept_until_they_near_their_end(tmp_path: Path) -> None:
    """One per name; a month before its end there is a new one; names that no server has get this machine's."""
    clock = SetClock(NOW)
    with fake_world(tmp_path / "world") as world:
        host = world.ask("CreateServer", create_request())["Server"]["Endpoint"]
        tls = ChefTls(
            open_authority(world.database, world.seal, NOW), Places(world.database, world.seal), clock, tmp_path
        )
        own, local = tls._context_for(host), tls._context_for("")
        assert own is not local
        assert tls._context_for(host) is own
        assert tls._context_for("unknown.example.org") is local
        clock.at += timedelta(days=LEAF_DAYS - 31)
        assert tls._context_for(host) is own
        clock.at += timedelta(days=2)
        assert tls._context_for(host) is not own
    assert list(tmp_path.glob("tmp*")) == []  # no key is left where it was loaded from
    assert isinstance(own, ssl.SSLContext)
    assert LOCAL_NAMES[0] == "127.0.0.1"


def test_servers_of_an_earlier_release_have_no_custom_domain(tmp_path: Path) -> None:
    """Their rows lack the member; everything else is read as before."""
    with fake_world(tmp_path / "world") as world:
        world.ask("CreateServer", create_request())
        world.settle()
        with world.database.unit() as unit:
            row = unit.execute(sa.select(servers)).one()
            earlier = {name: value for name, value in row.settings.items() if name != "custom_domain"}
            assert len(earlier) == len(row.settings) - 1
            unit.execute(sa.update(servers).values(settings=earlier))
            found = server_of(unit.execute(sa.select(servers)).one())
        assert (found.name, found.custom_domain) == ("automate-06", None)
