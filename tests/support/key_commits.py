"""How a keyring's new key pairs are stored where no journal is at hand."""

from collections.abc import Callable

from opentrail.delivery.keyring import SigningKey
from opentrail.state.database import Database, Unit


class KeyCommits:
    """Stores each new pair in a unit of its own, or fails in it; ``told`` are region and fingerprint of each."""

    def __init__(self, database: Database, *, fails: bool = False) -> None:
        self._database = database
        self._fails = fails
        self.told: list[tuple[str, str]] = []

    def __call__(self, region: str, key: SigningKey, store: Callable[[Unit], None]) -> None:
        with self._database.unit() as unit:
            store(unit)
            if self._fails:
                raise OSError
        self.told.append((region, key.fingerprint))
