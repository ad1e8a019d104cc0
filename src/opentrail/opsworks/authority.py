"""The certificate authority of the Chef API door: made once, its key sealed in the state; it signs a certificate per
endpoint (opsworks-cm fact sheet 8.2).
"""

from datetime import datetime

import sqlalchemy as sa

from opentrail.opsworks.tables import authorities
from opentrail.state.authorities import Authority
from opentrail.state.database import Database
from opentrail.state.sealing import Seal

NAME = "OpenTrail OpsWorks CM authority"
_CONTEXT = "opsworks-cm/authority"


def open_authority(database: Database, seal: Seal, now: datetime) -> Authority:
    """The installation's authority, made at the first start.

    Raises IntegrityError where its key was sealed with another key, or is none.
    """
    with database.unit() as unit:
        row = unit.execute(sa.select(authorities)).first()
        if row is None:
            made = Authority.new(NAME, now)
            sealed = seal.seal(made.key_pem, _CONTEXT)
            unit.execute(sa.insert(authorities).values(certificate=made.certificate_pem, sealed_key=sealed))
            return made
    return Authority.load(row.certificate.encode("ascii"), seal.open(row.sealed_key, _CONTEXT))
