"""Logs of children stay bounded and private."""

from pathlib import Path

from opentrail.processes.log_files import last_lines, open_log, shorten


def test_a_long_log_is_put_aside_while_it_is_written_to(tmp_path: Path) -> None:
    """The old lines are in NAME.1, and the writer goes on at the start of the emptied file."""
    path = tmp_path / "log"
    with open_log(path) as log:
        log.write(b"old\n" * 10)
        shorten(path, longest_bytes=16)
        log.write(b"new\n")
    assert path.read_bytes() == b"new\n"
    assert (tmp_path / "log.1").read_bytes() == b"old\n" * 10
    assert (tmp_path / "log.1").stat().st_mode & 0o777 == 0o600


def test_a_short_log_is_left_alone(tmp_path: Path) -> None:
    """Nothing moves before the limit; a missing file is no error."""
    shorten(tmp_path / "missing")
    (tmp_path / "log").write_bytes(b"x")
    shorten(tmp_path / "log", longest_bytes=1)
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_last_lines_are_those_of_this_start(tmp_path: Path) -> None:
    """Lines before the offset, blank ones and all but the last dozen are left out."""
    path = tmp_path / "log"
    path.write_bytes(b"before\n" + b"".join(b"line %d\n\n" % number for number in range(20)) + b"\xff end")
    text = last_lines(path, after_bytes=7)
    assert text.startswith("line 9 | line 10 | ")
    assert text.endswith("| \ufffd end")
    assert last_lines(path, after_bytes=10**6) == ""
    assert last_lines(tmp_path / "missing", after_bytes=0) == ""
