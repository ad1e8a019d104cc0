"""A HOME of format 1: its users, roles and keys go on working, with policies in place of the flag."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from opentrail.clock import SystemEntropy
from opentrail.identity.principal import PrincipalType
from opentrail.identity.store import Identities
from opentrail.state.database import Database, metadata
from opentrail.state.home import FORMAT_VERSION, Home, format_of
from opentrail.state.migrations import prepare
from opentrail.state.private_files import write_private
from opentrail.state.sealing import Seal

ACCOUNT = "123456789012"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
_FORMAT_1 = (
    """CREATE TABLE accounts (account_id VARCHAR(12) NOT NULL, name TEXT NOT NULL, created_at FLOAT NOT NULL,
        PRIMARY KEY (account_id))""",
    """CREATE TABLE identities (account_id VARCHAR(12) NOT NULL, kind VARCHAR(4) NOT NULL, name VARCHAR(64) NOT NULL,
        unique_id VARCHAR(21) NOT NULL, admin BOOLEAN NOT NULL, created_at FLOAT NOT NULL,
        PRIMARY KEY (account_id, kind, name), FOREIGN KEY(account_id) REFERENCES accounts (account_id))""",
    """CREATE TABLE access_keys (access_key_id VARCHAR(128) NOT NULL, account_id VARCHAR(12) NOT NULL,
        kind VARCHAR(4) NOT NULL, name VARCHAR(64) NOT NULL, session_name VARCHAR(64) NOT NULL,
        sealed_secret BLOB NOT NULL, created_at FLOAT NOT NULL, PRIMARY KEY (access_key_id),
        FOREIGN KEY(account_id) REFERENCES accounts (account_id))""",
)
_PEOPLE = (("user", "ada", "AIDAAAAAAAAAAAAAAAAAA", True), ("user", "bob", "AIDABBBBBBBBBBBBBBBBB", False),
           ("user", "Bob", "AIDACCCCCCCCCCCCCCCCC", False), ("role", "Ops", "AROADDDDDDDDDDDDDDDDD", True))  # fmt: skip
_KEYS = (("AKIAROOT", "root", "", ""), ("AKIAADA", "user", "ada", ""), ("AKIABOB", "user", "bob", ""),
         ("AKIAOPS", "role", "Ops", "night"))  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A HOME as the first release left it."""
    home = Home(tmp_path)
    write_private(home.format_file, b"1\n")
    home.database.parent.mkdir()
    seal = Seal.at(home.sealing_key, SystemEntropy())
    database = Database(home.database)
    with database.unit() as unit:
        for statement in _FORMAT_1:
            unit.execute(sa.text(statement))
        unit.connection.exec_driver_sql("INSERT INTO accounts VALUES (?, 'main', 1.0)", (ACCOUNT,))
        for kind, name, unique_id, admin in _PEOPLE:
            row = (ACCOUNT, kind, name, unique_id, admin, 2.0)
            unit.connection.exec_driver_sql("INSERT INTO identities VALUES (?, ?, ?, ?, ?, ?)", row)
        for key, kind, name, session in _KEYS:
            sealed = seal.seal(b"secret-of-" + key.encode(), f"access-key/{key}")
            unit.connection.exec_driver_sql(
                "INSERT INTO access_keys VALUES (?, ?, ?, ?, ?, ?, ?)", (key, ACCOUNT, kind, name, session, sealed, 3.0)
            )
    database.close()
    return home


def _opened(home: Home) -> Identities:
    prepare(home)
    database = Database(home.database)
    database.create_tables()
    return Identities(database, Seal.at(home.sealing_key, SystemEntropy()), SystemEntropy())


def test_keys_stand_for_the_same_callers(home: Home) -> None:
    """Secrets, unique ids, ARNs and session names are those of before."""
    identities = _opened(home)
    assert format_of(home) == FORMAT_VERSION
    found = {key: identities.credential(key) for key, *_ in _KEYS}
    for key, credential in found.items():
        assert credential is not None
        assert credential.secret_access_key == f"secret-of-{key}"
    people = {key: credential.principal for key, credential in found.items() if credential}
    assert people["AKIAROOT"].type is PrincipalType.ROOT
    assert people["AKIAADA"].principal_id == "AIDAAAAAAAAAAAAAAAAAA"
    assert people["AKIAADA"].arn == f"arn:aws:iam::{ACCOUNT}:user/ada"
    assert people["AKIAOPS"].arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/Ops/night"
    assert people["AKIAOPS"].principal_id == "AROADDDDDDDDDDDDDDDDD:night"


def test_the_flag_becomes_a_policy(home: Home) -> None:
    """Administrators have AdministratorAccess, others nothing; the role can be assumed from its own account."""
    identities = _opened(home)
    attached = {}
    for key, *_ in _KEYS:
        credential = identities.credential(key)
        assert credential is not None
        attached[key] = [policy.name for policy in identities.directory.policies_of(credential.principal).identity]
    assert attached == {"AKIAROOT": ["root"], "AKIAADA": [ADMINISTRATOR], "AKIABOB": [], "AKIAOPS": [ADMINISTRATOR]}
    role = identities.directory.role(f"arn:aws:iam::{ACCOUNT}:role/Ops")
    assert role is not None
    assert (role.trust.statements[0].allows, role.max_session_s) == (True, 3600)


def test_names_that_differ_in_case_only_are_kept_apart(home: Home) -> None:
    """Format 1 allowed them, IAM does not: the later one in order gets the end of its unique id."""
    identities = _opened(home)
    assert identities.directory.user(ACCOUNT, "Bob") is not None
    renamed = identities.directory.user(ACCOUNT, "bob-bbbbbb")
    assert renamed is not None
    assert renamed.user_id == "AIDABBBBBBBBBBBBBBBBB"


def test_the_migrated_tables_are_those_of_a_new_home(home: Home) -> None:
    """Columns, keys and indexes do not depend on how a HOME came about."""
    migrated = _opened(home)
    fresh = Database(None)
    fresh.create_tables()

    def described(database: Database) -> dict[str, object]:
        found: dict[str, object] = {}
        with database.read() as connection:
            for name in metadata.tables:
                if not name.startswith("iam_"):
                    continue
                columns = connection.exec_driver_sql(f"PRAGMA table_info({name})").all()
                indexes = connection.exec_driver_sql(f"PRAGMA index_list({name})").all()
                found[name] = (sorted(map(repr, columns)), sorted(repr(tuple(row)[1:4]) for row in indexes))
        return found

    assert described(migrated.database) == described(fresh)
    with fresh.read() as connection:
        assert "identities" not in sa.inspect(connection).get_table_names()


def test_a_home_that_was_only_stamped_is_taken(tmp_path: Path) -> None:
    """The first start was stopped before its tables were made: there is nothing to change."""
    home = Home(tmp_path)
    write_private(home.format_file, b"1\n")
    home.database.parent.mkdir()
    assert _opened(home).list_accounts() == []
