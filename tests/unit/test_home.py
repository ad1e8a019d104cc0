"""HOME: lock, format version, migration, private files and sealed secrets."""

import stat
from pathlib import Path

import pytest
import sqlalchemy as sa

from opentrail.clock import SystemEntropy
from opentrail.errors import ConfigError, IntegrityError
from opentrail.state.database import Database
from opentrail.state.home import FORMAT_VERSION, Home, HomeLock, format_of, holder_of
from opentrail.state.migrations import prepare
from opentrail.state.private_files import write_private
from opentrail.state.sealing import Seal


def test_only_one_process_holds_a_home(tmp_path: Path) -> None:
    """A second acquisition is refused until the first is released, and the holder's pid is told."""
    home = Home(tmp_path / "home")
    first = HomeLock.acquire(home)
    assert first is not None
    assert HomeLock.acquire(home) is None
    assert holder_of(home).isdecimal()
    first.release()
    again = HomeLock.acquire(home)
    assert again is not None
    again.release()


def test_home_is_private(tmp_path: Path) -> None:
    """The directory is made readable for its owner only."""
    home = Home(tmp_path / "home")
    lock = HomeLock.acquire(home)
    assert lock is not None
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700
    lock.release()


def test_a_home_that_cannot_be_made_is_a_config_error(tmp_path: Path) -> None:
    """A file in the way is told as such."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot use"):
        HomeLock.acquire(Home(tmp_path / "file"))


def test_a_new_home_is_stamped_with_our_format(tmp_path: Path) -> None:
    """After the first preparation the version stands in the format file."""
    home = Home(tmp_path)
    assert format_of(home) is None
    prepare(home)
    assert format_of(home) == FORMAT_VERSION


@pytest.mark.parametrize("text", [str(FORMAT_VERSION + 1), "soon"])
def test_a_newer_or_unreadable_format_is_refused(tmp_path: Path, text: str) -> None:
    """A HOME that this release does not understand is left untouched."""
    home = Home(tmp_path)
    home.format_file.write_text(text)
    with pytest.raises(ConfigError):
        prepare(home)
    assert home.format_file.read_text() == text


def _older_home(root: Path) -> Home:
    home = Home(root)
    prepare(home)
    home.database.parent.mkdir()
    database = Database(home.database)
    with database.unit() as unit:
        unit.execute(sa.text("CREATE TABLE kept (value TEXT)"))
        unit.execute(sa.text("INSERT INTO kept VALUES ('old')"))
    database.close()
    return home


def test_an_older_home_is_migrated_after_a_copy(tmp_path: Path) -> None:
    """The step changes the state, the copy still has the old one, and the version is stamped last."""
    home = _older_home(tmp_path)

    def step(connection: sa.Connection) -> None:
        connection.execute(sa.text("UPDATE kept SET value = 'new'"))

    prepare(home, {FORMAT_VERSION: step}, FORMAT_VERSION + 1)
    values = []
    for path in (home.database, home.database.with_name(f"{home.database.name}.format-{FORMAT_VERSION}")):
        database = Database(path)
        with database.read() as connection:
            values.append(connection.execute(sa.text("SELECT value FROM kept")).scalar())
        database.close()
    assert values == ["new", "old"]


def test_a_failed_migration_changes_nothing(tmp_path: Path) -> None:
    """A step that raises is rolled back, and the HOME keeps its old version."""
    home = _older_home(tmp_path)

    def step(connection: sa.Connection) -> None:
        connection.execute(sa.text("UPDATE kept SET value = 'half'"))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        prepare(home, {FORMAT_VERSION: step}, FORMAT_VERSION + 1)
    database = Database(home.database)
    with database.read() as connection:
        assert connection.execute(sa.text("SELECT value FROM kept")).scalar() == "old"
    database.close()
    assert format_of(home) == FORMAT_VERSION


def test_a_gap_in_the_steps_is_told(tmp_path: Path) -> None:
    """A HOME too old for this release says so."""
    with pytest.raises(ConfigError, match="cannot migrate"):
        prepare(_older_home(tmp_path), {}, FORMAT_VERSION + 1)


def test_private_files_are_private_and_whole(tmp_path: Path) -> None:
    """Mode 0600, replaced at once, no partial file left."""
    file = tmp_path / "keys" / "k"
    write_private(file, b"one")
    write_private(file, b"two")
    assert file.read_bytes() == b"two"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["k"]


def test_what_is_sealed_opens_only_unchanged_and_in_its_context(tmp_path: Path) -> None:
    """Another context, a flipped bit or another key is an IntegrityError."""
    seal = Seal.at(tmp_path / "key", SystemEntropy())
    sealed = seal.seal(b"secret", "a")
    assert Seal.at(tmp_path / "key", SystemEntropy()).open(sealed, "a") == b"secret"
    assert b"secret" not in sealed
    flipped = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for bad, context in ((sealed, "b"), (flipped, "a"), (b"", "a"), (b"\x02" + sealed[1:], "a")):
        with pytest.raises(IntegrityError):
            seal.open(bad, context)
    with pytest.raises(IntegrityError):
        Seal(b"k" * 32, SystemEntropy()).open(sealed, "a")


def test_a_truncated_sealing_key_is_refused(tmp_path: Path) -> None:
    """A short key file is damage, never silently replaced."""
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(IntegrityError):
        Seal.at(tmp_path / "key", SystemEntropy())


def test_what_fails_after_a_commit_keeps_nobody_else_back(tmp_path: Path) -> None:
    """The change stands, the action is tried twice, and the next one runs."""
    database = Database(tmp_path / "db.sqlite")
    ran: list[str] = []

    def fails() -> None:
        ran.append("fails")
        raise RuntimeError

    with database.unit() as unit:
        unit.execute(sa.text("CREATE TABLE kept (value TEXT)"))
        unit.after_commit(fails)
        unit.after_commit(lambda: ran.append("next"))
    assert ran == ["fails", "fails", "next"]
    with database.read() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM kept")).scalar() == 0
    database.close()
