"""Archives of backups: what was written comes back; whatever else is read is refused and stays in its directory."""

import hashlib
import io
import json
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.errors import IntegrityError
from opentrail.opsworks.archive import FORMAT, MANIFEST, check_digest, read_archive, write_archive

AT = datetime(2026, 11, 23, tzinfo=UTC)
NAMES = st.text("abc.é-", min_size=1, max_size=6).filter(lambda name: name not in {".", ".."})
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join).map(lambda path: f"f/{path}.x")
HOSTILE = st.sampled_from(["../x", "/etc/x", "a/../../x", "conf/admin.pem", MANIFEST, ".", "", "a\0b"])


def written(files: dict[str, bytes], directory: Path) -> bytes:
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)
    out = io.BytesIO()
    write_archive(out, directory, {"backupId": "b"}, AT)
    return out.getvalue()


def crafted(
    entries: list[tuple[str, bytes]], promised: list[tuple[str, bytes]], kind: bytes = tarfile.REGTYPE
) -> bytes:
    """An archive made by hand."""
    files = [
        {"path": path, "sizeBytes": len(body), "sha256": hashlib.sha256(body).hexdigest()} for path, body in promised
    ]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, body in [(MANIFEST, json.dumps({"format": FORMAT, "files": files}).encode()), *entries]:
            info = tarfile.TarInfo(name)
            info.size, info.type = len(body), tarfile.REGTYPE if name == MANIFEST else kind
            info.linkname = "/etc/passwd"
            tar.addfile(info, io.BytesIO(body))
    return out.getvalue()


def found(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


@settings(max_examples=50)
@given(st.dictionaries(PATHS, st.binary(max_size=200), max_size=6))
def test_opsworks_archives_come_back(files: dict[str, bytes]) -> None:
    """Every file of a directory is there again after reading, private, and nothing else."""
    with tempfile.TemporaryDirectory() as scratch:
        source, target = Path(scratch, "source"), Path(scratch, "target")
        source.mkdir()
        try:
            raw = written(files, source)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            return  # one name was drawn as a file and as a directory
        read_archive(io.BytesIO(raw), target)
        assert found(target) == files
        assert all(path.stat().st_mode & 0o077 == 0 for path in (target, *target.rglob("*")))
        check_digest(io.BytesIO(raw), hashlib.sha256(raw).hexdigest())


@settings(max_examples=80)
@given(st.data())
def test_opsworks_damaged_archives_are_refused(data: st.DataObject) -> None:
    """One changed byte, or a cut, is an IntegrityError or changes nothing that is read; the digest always tells."""
    with tempfile.TemporaryDirectory() as scratch:
        source, target = Path(scratch, "source"), Path(scratch, "target")
        files = {"conf/admin.pem": b"key" * 50, "data/data.bin": bytes(range(256)), "lfs/x": b""}
        source.mkdir()
        raw = bytearray(written(files, source))
        at = data.draw(st.integers(0, len(raw) - 1))
        if data.draw(st.booleans()):
            raw[at] ^= data.draw(st.integers(1, 255))
        else:
            del raw[at:]
        try:
            read_archive(io.BytesIO(raw), target)
        except IntegrityError:
            pass
        else:
            assert found(target) == files
        with pytest.raises(IntegrityError, match="SHA-256"):
            check_digest(io.BytesIO(raw), hashlib.sha256(b"another").hexdigest())


@settings(max_examples=60)
@given(st.binary(max_size=300))
def test_opsworks_foreign_bytes_are_no_archive(raw: bytes) -> None:
    """Any bytes are an IntegrityError."""
    with tempfile.TemporaryDirectory() as scratch, pytest.raises(IntegrityError):
        read_archive(io.BytesIO(raw), Path(scratch, "target"))


@settings(max_examples=60)
@given(st.lists(st.tuples(HOSTILE, st.binary(max_size=5)), min_size=1, max_size=3), st.booleans(), st.data())
def test_opsworks_hostile_archives_write_nothing_outside(
    entries: list[tuple[str, bytes]], promised: bool, data: st.DataObject
) -> None:
    """Paths that lead out, files that are no files and files that nobody promised are refused, and leave no trace."""
    kind = data.draw(st.sampled_from([tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE]))
    raw = crafted(entries, entries if promised else [], kind)
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch, "in", "target")
        target.parent.mkdir()
        try:
            read_archive(io.BytesIO(raw), target)
        except IntegrityError:
            pass
        else:
            assert promised
            assert {name for name, _ in entries} == set(found(target)) <= {"conf/admin.pem", MANIFEST}
        assert [path.name for path in Path(scratch).iterdir()] == ["in"]
        assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_opsworks_an_archive_of_other_content_is_refused(tmp_path: Path) -> None:
    """A file that differs from its hash, one that is missing, and a manifest of another form are each told."""
    cases = [
        (crafted([("a", b"1")], [("a", b"2")]), "not what its manifest says"),
        (crafted([], [("a", b"2")]), "lacks 1"),
        (crafted([("b", b"1")], []), "does not promise"),
    ]
    for number, (raw, said) in enumerate(cases):
        with pytest.raises(IntegrityError, match=said):
            read_archive(io.BytesIO(raw), tmp_path / str(number))
