"""Backups of an open HOME: what is in them, how they are proved, and what they are restored to."""

import hashlib
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.app.core import Core, World
from opentrail.backup.manifest import CHECKSUM, MANIFEST, REQUIRED, checksum_of, parse, render
from opentrail.backup.snapshot import BackupUnderWay, NoSpaceForBackup, Snapshots, taking
from opentrail.backup.transfer import UNFINISHED, ensure_takes_backup, restore, take_away
from opentrail.backup.verification import verify
from opentrail.clock import SystemClock, SystemEntropy
from opentrail.config import Settings
from opentrail.config.settings import JournalSettings
from opentrail.errors import ConfigError, IntegrityError, OutboundError
from opentrail.events.call import Call
from opentrail.identity.principal import Principal, PrincipalType
from opentrail.journal import Draft, Journal, cursors, intents, outbox
from opentrail.journal.copying import SequenceRange
from opentrail.state.home import FORMAT_VERSION, Home, HomeLock

PARTITION = "123456789012/us-east-1"
SEGMENT_BYTES = 1 << 20
SETTINGS = Settings(journal=JournalSettings(segment_bytes=SEGMENT_BYTES))


def _open(root: Path) -> Core:
    return Core(World(Home(root), SETTINGS, SystemClock(), SystemEntropy()))


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    (tmp_path / "home").mkdir(mode=0o700)
    opened = _open(tmp_path / "home")
    yield opened
    opened.close()


def _draft(size_bytes: int = 100) -> Draft:
    return Draft(SystemEntropy().uuid(), 1_700_000_000, PARTITION, (), b"x" * size_bytes)


def _append(core: Core, count: int, size_bytes: int = 100) -> list[str]:
    drafts = [_draft(size_bytes) for _ in range(count)]
    for draft in drafts:
        core.journal.append([draft]).result()
    return [draft.event_id for draft in drafts]


def _backup(core: Core, target: Path) -> Path:
    made = core.snapshots.create()
    take_away(core.world.home, made.backup_id, target)
    return target


def _event_ids(journal: Journal) -> list[str]:
    found, after = [], 0
    while frames := journal.read(after, max_bytes=1 << 20):
        found += [frame.event_id for frame in frames]
        after = frames[-1].sequence
    return found


def test_a_restored_home_holds_what_was_durable_and_goes_on(core: Core, tmp_path: Path) -> None:
    """Every record of several segments, in order; what was written later is not there; new records follow on."""
    before = _append(core, 40, 100_000)
    core.call("opentrail", "CreateAccount", {"AccountId": "210987654321"})
    assert core.journal.stats().segments > 2
    expected = _event_ids(core.journal)
    assert set(before) <= set(expected)
    last = core.journal.durable_sequence
    directory = _backup(core, tmp_path / "kept")
    later = _append(core, 1)
    manifest = restore(directory, Home(tmp_path / "new"))
    assert manifest.sequences.last == last
    restored = _open(tmp_path / "new")
    try:
        assert _event_ids(restored.journal) == expected
        assert later[0] not in _event_ids(restored.journal)
        assert restored.journal.recovery.is_clean
        accounts = restored.call("opentrail", "ListAccounts", {})["Accounts"]
        assert "210987654321" in {account["AccountId"] for account in accounts}
        assert restored.journal.durable_sequence > last
    finally:
        restored.close()
    again = _open(tmp_path / "new")  # and that is a journal like any other
    assert again.journal.recovery.is_clean
    again.close()


def test_a_backup_is_as_small_as_what_it_holds(core: Core, tmp_path: Path) -> None:
    """The room that segments keep ahead of time is not copied."""
    _append(core, 3)
    directory = _backup(core, tmp_path / "kept")
    assert sum(path.stat().st_size for path in (directory / "journal").iterdir()) < 16 * 1024


def test_the_sealed_secrets_of_a_restored_home_open(core: Core, tmp_path: Path) -> None:
    """The keys that callers had sign in as before."""
    pair = {"AccessKeyId": "AKIAADAADAADAADAADA2", "SecretAccessKey": "canary-ada-secret-restored"}
    core.call("opentrail", "CreateAccount", {"AccountId": "210987654321"})
    core.call("opentrail", "ImportAccessKey", {"AccountId": "210987654321", "OwnerType": "Root", **pair})
    restore(_backup(core, tmp_path / "kept"), Home(tmp_path / "new"))
    restored = _open(tmp_path / "new")
    credential = restored.identities.credential(pair["AccessKeyId"])
    restored.close()
    assert credential is not None
    assert credential.secret_access_key == pair["SecretAccessKey"]


def test_everything_in_a_backup_and_in_a_restored_home_is_private(core: Core, tmp_path: Path) -> None:
    """0600 and 0700, whatever the umask and the modes in the backup."""
    directory = _backup(core, tmp_path / "kept")
    assert _modes(directory) == {0o600, 0o700}
    for path in directory.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    restore(directory, Home(tmp_path / "new"))
    assert _modes(tmp_path / "new") == {0o600, 0o700}


def _modes(root: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in (root, *root.rglob("*"))}


def test_nothing_is_left_below_home(core: Core, tmp_path: Path) -> None:
    """Whoever takes a backup away takes it all."""
    _backup(core, tmp_path / "kept")
    assert list(core.world.home.backups.iterdir()) == []


def test_pruning_waits_for_the_copy_and_is_made_up_for(core: Core, tmp_path: Path) -> None:
    """Nothing that the copied state may need goes away under the copy; afterwards it goes as ever."""
    _append(core, 40, 100_000)
    segments = core.journal.stats().segments
    with core.journal.unpruned():
        core.journal.prune(core.journal.durable_sequence)
        assert core.journal.stats().segments == segments
        (tmp_path / "copy").mkdir()
        assert core.journal.copy(tmp_path / "copy").first == 1
    core.journal.prune(core.journal.durable_sequence)
    assert core.journal.stats().segments == 1
    _append(core, 1)
    restore(_backup(core, tmp_path / "kept"), Home(tmp_path / "new"))  # a journal that does not begin with 1


def test_the_state_is_copied_before_the_journal_and_nothing_is_pruned_between(
    core: Core, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever happens while the journal is copied: no cursor is ahead of the copy, and what it needs is there."""
    _append(core, 40, 100_000)
    copy = core.journal.copy

    def busy(directory: Path) -> SequenceRange:
        core.journal.prune(core.journal.durable_sequence)
        found = copy(directory)
        _append(core, 1)
        with core.database.unit() as unit:
            cursors.put(unit, "courier", core.journal.durable_sequence)
        return found

    monkeypatch.setattr(core.journal, "copy", busy)
    assert verify(_backup(core, tmp_path / "kept")).sequences == SequenceRange(1, core.journal.durable_sequence - 1)


def test_a_change_whose_record_is_only_in_the_outbox_gets_it_after_the_restore(core: Core, tmp_path: Path) -> None:
    """The state was copied between the commit and the append."""
    draft = _draft()
    with core.database.unit() as unit:
        outbox.add(unit, [draft], core.journal.next_sequence)
    restore(_backup(core, tmp_path / "kept"), Home(tmp_path / "new"))
    restored = _open(tmp_path / "new")
    assert _event_ids(restored.journal).count(draft.event_id) == 1
    restored.close()


def test_a_change_under_way_becomes_one_of_unknown_outcome(core: Core, tmp_path: Path) -> None:
    """An intent that was open when the copy was made has its record after the restore, once."""
    draft = _draft()
    intent = core.journal.intend_blocking([draft])
    directory = _backup(core, tmp_path / "kept")
    core.journal.conclude_blocking(intent, [draft])
    restore(directory, Home(tmp_path / "new"))
    restored = _open(tmp_path / "new")
    with restored.database.read() as connection:
        assert cursors.get(connection, intents.CURSOR) == restored.journal.durable_sequence
    assert _event_ids(restored.journal).count(draft.event_id) == 2  # the intent and the record
    restored.close()


# Refusals


KINDS = [
    *sorted(REQUIRED),
    "keys/further.key",
    "tls/ca.pem",
    "opentrail.toml",
    "journal/damaged/00000000000000000009.segment",
    "journal/00000000000000000001.segment",
    MANIFEST,
    CHECKSUM,
]


@pytest.fixture
def whole(core: Core, tmp_path: Path) -> Path:
    """A backup with every kind of file."""
    home = core.world.home.root
    for relative in KINDS:
        path = home / relative
        if relative not in {MANIFEST, CHECKSUM} and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("# of no concern\n")
    _append(core, 5)
    directory = _backup(core, tmp_path / "whole")
    assert {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()} == set(KINDS)
    return directory


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_byte_is_refused_and_its_file_named(whole: Path, tmp_path: Path, kind: str) -> None:
    """In each kind of file, the manifest's own included; nothing is put in place."""
    path = whole / kind
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=Path(kind).name):
        restore(whole, Home(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("change", ["missing", "further", "link", "shorter"])
def test_a_backup_of_other_files_is_refused(whole: Path, tmp_path: Path, change: str) -> None:
    """A file that is gone, that nobody named, that points elsewhere, or that is cut."""
    path = whole / "keys" / "further.key"
    if change == "further":
        (whole / "keys" / "planted.key").write_text("x")
    else:
        content = path.read_bytes()
        path.unlink()
        if change == "link":
            (tmp_path / "elsewhere").write_bytes(content)
            path.symlink_to(tmp_path / "elsewhere")
        if change == "shorter":
            path.write_bytes(content[:-1])
    with pytest.raises(IntegrityError, match=r"planted\.key" if change == "further" else r"further\.key"):
        verify(whole)


def _renamed(directory: Path, relative: str, content: bytes) -> None:
    """Put other content into a backup, with a manifest that vouches for it."""
    (directory / relative).write_bytes(content)
    document = orjson.loads((directory / MANIFEST).read_bytes())
    for entry in document["files"]:
        if entry["path"] == relative:
            entry |= {"sizeBytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    _written(directory, document)


def _written(directory: Path, document: dict[str, object]) -> None:
    rendered = orjson.dumps(document)
    (directory / MANIFEST).write_bytes(rendered)
    (directory / CHECKSUM).write_bytes(checksum_of(rendered))


def test_a_manifest_that_vouches_for_a_damaged_journal_is_not_believed(whole: Path) -> None:
    """Every frame is judged by itself."""
    relative = "journal/00000000000000000001.segment"
    content = bytearray((whole / relative).read_bytes())
    content[-20] ^= 1
    _renamed(whole, relative, bytes(content))
    with pytest.raises(IntegrityError, match=r"00000000000000000001\.segment: .*offset"):
        verify(whole)


def test_a_manifest_that_vouches_for_a_damaged_state_is_not_believed(whole: Path) -> None:
    """SQLite has its say."""
    relative = "state/opentrail.sqlite"
    content = bytearray((whole / relative).read_bytes())
    content[4096 : 3 * 4096] = bytes(2 * 4096)
    _renamed(whole, relative, bytes(content))
    with pytest.raises(IntegrityError, match=r"opentrail\.sqlite"):
        verify(whole)


def test_a_state_that_is_ahead_of_the_journal_is_refused(whole: Path, tmp_path: Path) -> None:
    """It belongs to another journal."""
    copy = tmp_path / "copy.sqlite"
    copy.write_bytes((whole / "state/opentrail.sqlite").read_bytes())
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("INSERT INTO journal_cursors VALUES ('courier', 1000000)")
        connection.commit()
        connection.execute("PRAGMA journal_mode = DELETE")
    _renamed(whole, "state/opentrail.sqlite", copy.read_bytes())
    with pytest.raises(IntegrityError, match="cursor courier"):
        verify(whole)


def test_a_backup_of_a_newer_opentrail_is_refused(whole: Path, tmp_path: Path) -> None:
    """As its HOME would be."""
    document = orjson.loads((whole / MANIFEST).read_bytes())
    document["format"] = FORMAT_VERSION + 1
    _written(whole, document)
    with pytest.raises(ConfigError, match="newer OpenTrail"):
        restore(whole, Home(tmp_path / "new"))


def test_a_directory_without_a_backup_is_told_as_such(tmp_path: Path) -> None:
    """Wrong use, not damage."""
    with pytest.raises(ConfigError, match="holds no backup"):
        restore(tmp_path, Home(tmp_path / "new"))


def test_a_home_that_holds_anything_is_not_restored_to(whole: Path, tmp_path: Path) -> None:
    """Not even a file of somebody else's; an empty directory will do."""
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "notes").write_text("mine")
    with pytest.raises(ConfigError, match="not empty"):
        restore(whole, Home(tmp_path / "new"))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["notes"]
    (tmp_path / "new" / "notes").unlink()
    restore(whole, Home(tmp_path / "new"))


def test_a_home_in_use_is_not_restored_to(whole: Path, tmp_path: Path) -> None:
    """Its holder is told."""
    home = Home(tmp_path / "new")
    lock = HomeLock.acquire(home)
    assert lock is not None
    with pytest.raises(ConfigError, match="in use by process"):
        restore(whole, home)
    lock.release()


def test_a_restore_that_was_cut_short_is_no_home(tmp_path: Path) -> None:
    """Should the machine stop in the middle, nothing starts on what is there."""
    (tmp_path / "format").write_text(UNFINISHED)
    with pytest.raises(ConfigError, match="unfinished restore"):
        _open(tmp_path)


def test_a_backup_goes_to_an_empty_place_outside_home(core: Core, tmp_path: Path) -> None:
    """Nothing is overwritten, and no backup goes down with what it is a copy of."""
    home = core.world.home
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes").write_text("mine")
    with pytest.raises(ConfigError, match="not empty"):
        ensure_takes_backup(tmp_path / "full", home)
    with pytest.raises(ConfigError, match="lies in"):
        ensure_takes_backup(home.root / "kept", home)
    (tmp_path / "empty").mkdir()
    ensure_takes_backup(tmp_path / "empty", home)
    _backup(core, tmp_path / "empty")
    verify(tmp_path / "empty")


def test_a_full_disk_is_told_before_anything_is_copied(core: Core) -> None:
    """What the journal may need stays free; the sentence has the figures."""
    greedy = Snapshots(core.world.home, core.journal, SystemClock(), SystemEntropy(), kept_free_bytes=1 << 60)
    with pytest.raises(NoSpaceForBackup, match="MiB are free"):
        greedy.create()
    assert not core.world.home.backups.exists()


def test_a_left_over_goes_unless_somebody_takes_it(core: Core) -> None:
    """At the next start, and before the next backup."""
    first = core.world.home.backups / core.snapshots.create().backup_id
    with taking(first) as is_ours:
        assert is_ours
        core.snapshots.remove_left_over()
        assert first.is_dir()
    second = core.world.home.backups / core.snapshots.create().backup_id
    assert not first.exists()
    core.snapshots.remove_left_over()
    assert not second.exists()


def test_a_copy_that_is_gone_is_told(core: Core, tmp_path: Path) -> None:
    """Nothing is made of it."""
    made = core.snapshots.create()
    core.snapshots.remove_left_over()
    with pytest.raises(OutboundError, match="try again"):
        take_away(core.world.home, made.backup_id, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_one_backup_at_a_time(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one is refused while the first is made."""
    refused: list[BaseException] = []
    room = core.snapshots.room

    def meanwhile() -> object:
        try:
            core.snapshots.create()
        except BackupUnderWay as problem:
            refused.append(problem)
        return room()

    monkeypatch.setattr(core.snapshots, "room", meanwhile)
    core.snapshots.create()
    assert len(refused) == 1


def test_only_operators_make_backups_and_nobody_says_where(core: Core) -> None:
    """Root of another account is refused, and the operation has no parameter."""
    hosted = core.hosted["opentrail"]
    operation = hosted.service.operation("CreateBackup")
    assert operation.input_shape is not None
    assert not operation.input_shape.members
    stranger = Principal(PrincipalType.ROOT, "210987654321", "210987654321", "arn:aws:iam::210987654321:root")
    call = Call(
        request_id="r",
        received_at=SystemClock().now(),
        account_id="210987654321",
        region="us-east-1",
        principal=stranger,
        event_source="opentrail.amazonaws.com",
        event_name="CreateBackup",
        read_only=False,
        operation=operation,
        parameters={},
    )
    refused = core.dispatcher.execute(hosted, call)
    assert orjson.loads(refused.reply.body)["__type"] == "AccessDeniedException"
    assert not core.world.home.backups.exists()


# The manifest


@given(st.binary(max_size=300))
def test_no_bytes_make_a_manifest_parser_fail_otherwise(content: bytes) -> None:
    """Anything is refused as damage."""
    with pytest.raises(IntegrityError):
        parse(content, checksum_of(content))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_DOCUMENT = {
    "backupId": "20261125T120000Z-0a1b2c3d",
    "createdAt": "2026-11-25T12:00:00Z",
    "version": "1",
    "format": FORMAT_VERSION,
    "sequences": {"first": 1, "last": 9},
    "files": [{"path": path, "sizeBytes": 1, "sha256": "0" * 64} for path in sorted(REQUIRED)],
}


@given(st.sampled_from([*_DOCUMENT, "path", "sizeBytes", "sha256"]), _JSON)
def test_a_manifest_with_any_other_value_is_read_or_refused(member: str, value: object) -> None:
    """Whatever stands in a member: what is read can be rendered and read again, the rest is damage."""
    document = orjson.loads(orjson.dumps(_DOCUMENT))
    (document if member in document else document["files"][0])[member] = value
    try:
        rendered = orjson.dumps(document)
    except TypeError:  # an integer that JSON does not hold here
        return
    try:
        found = parse(rendered, checksum_of(rendered))
    except IntegrityError:
        return
    again = render(found)
    assert parse(again, checksum_of(again)) == found


@pytest.mark.parametrize(
    "path",
    [
        *("../x", "/etc/passwd", "keys/../x", "keys/", "keys/a/b", "journal/.hidden", "seaweedfs/x", ""),
        *("run/endpoint.json", "lock", "keys/x\n", "state/other.sqlite", "backups/x"),
    ],
)
def test_a_manifest_names_files_of_a_backup_only(path: str) -> None:
    """No way out of HOME, and none into what a backup does not have."""
    document = orjson.loads(orjson.dumps(_DOCUMENT))
    document["files"].append({"path": path, "sizeBytes": 1, "sha256": "0" * 64})
    rendered = orjson.dumps(document)
    with pytest.raises(IntegrityError):
        parse(rendered, checksum_of(rendered))
