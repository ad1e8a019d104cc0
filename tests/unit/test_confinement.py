"""Confinement: what a process can no longer do, tried in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from opentrail.processes import confinement
from opentrail.processes.confinement import landlock_version
from opentrail.processes.ports import free_ports

pytestmark = pytest.mark.skipif(landlock_version() == 0, reason="this kernel has no Landlock")

_ATTEMPT = """
import os, runpy, socket, subprocess, sys
from pathlib import Path
confine = runpy.run_path(sys.argv[1])["confine"]
readable, writable, port = Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
confine([*map(Path, ("/usr", "/lib", "/lib64", "/bin")), Path(sys.base_prefix), readable], [writable], [port])
try:
    exec(sys.argv[5])
except OSError as error:
    print(type(error).__name__)
else:
    print("done")
"""


def attempt(tmp_path: Path, statement: str) -> str:
    """What comes of a statement in a confined process: `done`, or the name of the error."""
    for name in ("readable", "writable", "other"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "file").write_text("text")
    (port,) = free_ports(1)
    places = (str(tmp_path / "readable"), str(tmp_path / "writable"), str(port))
    statement = f"here = Path({str(tmp_path)!r}); {statement}"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _ATTEMPT, confinement.__file__, *places, statement],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "statement",
    [
        "(here / 'readable/file').read_text()",
        "os.listdir(here / 'readable')",
        "(here / 'writable/file').write_text('new')",
        "(here / 'writable/more').mkdir()",
        "(here / 'writable/file').rename(here / 'writable/file2')",
        "subprocess.run(['/bin/true'], check=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)",
        "socket.create_server(('127.0.0.1', port))",
    ],
)
def test_what_is_named_stays_possible(tmp_path: Path, statement: str) -> None:
    """Named trees can be read or written, programs run, the named port listened on."""
    assert attempt(tmp_path, statement) == "done"


@pytest.mark.parametrize(
    "statement",
    [
        "(here / 'other/file').read_text()",
        "os.listdir(here / 'other')",
        "(here / 'readable/file').write_text('new')",
        "(here / 'other/more').mkdir()",
        "(here / 'other/file').unlink()",
        "os.symlink(here / 'other', here / 'writable/link'); (here / 'writable/link/file').read_text()",
        "Path(f'/proc/{os.getppid()}/environ').read_text()",
        "Path('/etc/passwd').read_text()",
    ],
)
def test_what_is_not_named_is_refused(tmp_path: Path, statement: str) -> None:
    """Everything else is closed, through links too, and for root as well."""
    assert attempt(tmp_path, statement) == "PermissionError"


def test_other_ports_are_refused(tmp_path: Path) -> None:
    """A process that may listen on one port cannot open another (Linux 6.7)."""
    if landlock_version() < 4:
        pytest.skip("this kernel's Landlock knows no ports")
    (other,) = free_ports(1)
    assert attempt(tmp_path, f"socket.create_server(('127.0.0.1', {other}))") == "PermissionError"


def test_programs_it_starts_are_confined_too(tmp_path: Path) -> None:
    """There is no way out through another program."""
    read = "subprocess.run(['/bin/cat', here / 'other/file'], stdin=subprocess.PIPE, capture_output=True).returncode"
    assert attempt(tmp_path, f"os._exit(0) if {read} == 0 else None") == "done"


def test_what_it_starts_cannot_look_into_it(tmp_path: Path) -> None:
    """Its memory and environment are closed to its own children, although they are confined as it is."""
    look = "subprocess.run(['/bin/cat', f'/proc/{os.getpid()}/environ'], stdin=subprocess.PIPE, capture_output=True)"
    statement = f"out = {look}; print(out.returncode, len(out.stdout))"
    assert attempt(tmp_path, statement).splitlines()[0] == "1 0"
