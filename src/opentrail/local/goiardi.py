"""Where the Chef engine's program is."""

import os
import shutil
import sys
from pathlib import Path

_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


def goiardi_binary() -> Path | None:
    """The ``goiardi`` program: ``$GOIARDI_BINARY``, on the PATH or where Debian puts it, or beside Python."""
    beside = Path(sys.executable).with_name("goiardi")
    named = os.environ.get("GOIARDI_BINARY")
    found = named or shutil.which("goiardi") or shutil.which("goiardi", path=_SYSTEM_PATH)
    path = Path(found) if found else beside
    return path if os.access(path, os.X_OK) else None
