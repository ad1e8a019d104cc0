"""Accounts and access keys: who a key stands for, and what the database holds of its secret."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from opentrail.clock import SystemEntropy
from opentrail.errors import ApiError
from opentrail.identity.principal import PrincipalType
from opentrail.identity.store import Identities, KeyOwner
from opentrail.state.database import Database
from opentrail.state.sealing import Seal

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ACCOUNT = "123456789012"
PAIR = ("AKIAEXAMPLEEXAMPLE00", "canary-secret-0123456789")


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """A real database in a file."""
    database = Database(tmp_path / "state.sqlite")
    database.create_tables()
    return database


@pytest.fixture
def identities(database: Database) -> Identities:
    """A store with one account."""
    entropy = SystemEntropy()
    store = Identities(database, Seal(b"k" * 32, entropy), entropy)
    with database.unit() as unit:
        store.create_account(unit, ACCOUNT, "main", NOW)
    return store


def _import(identities: Identities, database: Database, owner: KeyOwner, pair: tuple[str, str], **facts: bool) -> None:
    with database.unit() as unit:
        identities.import_key(unit, ACCOUNT, owner, pair, at=NOW, **facts)


def test_a_root_key_signs_as_the_account(identities: Identities, database: Database) -> None:
    """Root may do everything in its account."""
    _import(identities, database, KeyOwner.root(), PAIR)
    credential = identities.credential(PAIR[0])
    assert credential is not None
    assert credential.secret_access_key == PAIR[1]
    assert credential.principal.type is PrincipalType.ROOT
    assert credential.principal.arn == f"arn:aws:iam::{ACCOUNT}:root"
    assert [policy.name for policy in identities.directory.policies_of(credential.principal).identity] == ["root"]


def test_a_user_is_an_administrator_only_if_imported_so(identities: Identities, database: Database) -> None:
    """A user starts with nothing; importing as an administrator attaches AdministratorAccess; the unique id stays."""
    _import(identities, database, KeyOwner.user("ada"), PAIR)
    first = identities.credential(PAIR[0])
    assert first is not None
    assert identities.directory.policies_of(first.principal).identity == ()
    _import(identities, database, KeyOwner.user("ada"), PAIR, admin=True)
    second = identities.credential(PAIR[0])
    assert second == first
    attached = identities.directory.policies_of(first.principal).identity
    assert [policy.name for policy in attached] == ["arn:aws:iam::aws:policy/AdministratorAccess"]
    assert first.principal.principal_id.startswith("AIDA")


def test_a_role_made_by_an_import_is_an_administrator_of_its_own_account(
    identities: Identities, database: Database
) -> None:
    """Its sessions may do everything, as before there were policies, and its account's principals may assume it."""
    _import(identities, database, KeyOwner.session("Ops", "night"), PAIR)
    credential = identities.credential(PAIR[0])
    assert credential is not None
    attached = identities.directory.policies_of(credential.principal).identity
    assert [policy.name for policy in attached] == ["arn:aws:iam::aws:policy/AdministratorAccess"]
    role = identities.directory.role(f"arn:aws:iam::{ACCOUNT}:role/Ops")
    assert role is not None
    assert role.trust.statements[0].allows


def test_names_that_differ_in_case_only_are_refused(identities: Identities, database: Database) -> None:
    """As in IAM, and nothing is changed."""
    _import(identities, database, KeyOwner.user("ada"), PAIR)
    with pytest.raises(ApiError, match="case"):
        _import(identities, database, KeyOwner.user("Ada"), ("AKIAEXAMPLEEXAMPLE01", "another-secret"))
    assert identities.directory.user(ACCOUNT, "Ada") is None


def test_a_role_session_carries_its_issuer_and_creation(identities: Identities, database: Database) -> None:
    """The session's ARN, id and context have the forms of CloudTrail."""
    _import(identities, database, KeyOwner.session("Ops", "night"), PAIR)
    credential = identities.credential(PAIR[0])
    assert credential is not None
    who = credential.principal
    assert who.type is PrincipalType.ASSUMED_ROLE
    assert who.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/Ops/night"
    assert who.session is not None
    assert who.session.issuer is not None
    assert who.session.created_at == NOW
    assert who.principal_id == f"{who.session.issuer.principal_id}:night"
    assert who.session.issuer.arn == f"arn:aws:iam::{ACCOUNT}:role/Ops"


def test_importing_again_is_harmless_and_conflicts_are_told(identities: Identities, database: Database) -> None:
    """The same pair twice is fine; another secret or another owner for the same id is not, and changes nothing."""
    _import(identities, database, KeyOwner.user("ada"), PAIR)
    _import(identities, database, KeyOwner.user("ada"), PAIR)
    for owner, pair in ((KeyOwner.user("ada"), (PAIR[0], "another-secret")), (KeyOwner.user("bob"), PAIR)):
        with pytest.raises(ApiError) as caught:
            _import(identities, database, owner, pair)
        assert caught.value.code == "AccessKeyAlreadyExistsException"
    credential = identities.credential(PAIR[0])
    assert credential is not None
    assert credential.principal.user_name == "ada"


def test_unknown_and_duplicate_accounts_are_told(identities: Identities, database: Database) -> None:
    """An account must exist before its keys, and only once."""
    with pytest.raises(ApiError, match="AccountNotFound"), database.unit() as unit:
        identities.import_key(unit, "000000000000", KeyOwner.root(), PAIR, at=NOW)
    with pytest.raises(ApiError, match="AccountAlreadyExists"), database.unit() as unit:
        identities.create_account(unit, ACCOUNT, "again", NOW)


def test_a_restart_finds_the_same_callers_and_no_clear_secret_on_disk(
    identities: Identities, database: Database, tmp_path: Path
) -> None:
    """The snapshot is rebuilt from sealed rows; the secret's text is in no file."""
    _import(identities, database, KeyOwner.user("ada"), PAIR)
    entropy = SystemEntropy()
    again = Identities(database, Seal(b"k" * 32, entropy), entropy)
    assert again.credential(PAIR[0]) == identities.credential(PAIR[0])
    for file in tmp_path.iterdir():
        assert PAIR[1].encode() not in file.read_bytes()
