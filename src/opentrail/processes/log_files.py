"""Log files of child processes: appended, private, bounded.

The child holds the descriptor, so a file that grew too long is copied aside and emptied in place; appending goes on
at its start.
"""

import os
import shutil
from pathlib import Path
from typing import BinaryIO

LONGEST_LOG_BYTES = 16 * 1024 * 1024
TAIL_BYTES = 2048
TAIL_LINES = 12


def open_log(path: Path) -> BinaryIO:
    """Open for appending, mode 0600, its directory made if it is missing; shortened first when it is too long."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shorten(path)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "ab", buffering=0)


def shorten(path: Path, longest_bytes: int = LONGEST_LOG_BYTES) -> None:
    """Move the content to ``NAME.1`` (replacing it) once it is longer than that; the lines written during the copy
    may be lost.
    """
    try:
        if path.stat().st_size <= longest_bytes:
            return
        older = path.with_name(path.name + ".1")
        shutil.copyfile(path, older)
        older.chmod(0o600)
        os.truncate(path, 0)
    except FileNotFoundError:
        return


def last_lines(path: Path, *, after_bytes: int) -> str:
    """The last dozen lines (2 KiB at most) written after an offset in bytes, joined by `` | ``; empty when there are
    none.
    """
    try:
        with path.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(end - TAIL_BYTES, min(after_bytes, end)))
            text = log.read(TAIL_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-TAIL_LINES:])
