"""The systemd unit: it starts what we have, hardens what it can, and hears when we are ready."""

import shutil
import socket
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest
import typer

from opentrail.cli.main import application
from opentrail.config.settings import SECTIONS, names_of
from opentrail.processes.service_notice import READY, STOPPING, notify
from opentrail.state.home import Home

UNIT = Path(__file__).resolve().parents[2] / "deploy" / "opentrail.service"


def _directives() -> dict[str, list[str]]:
    """Every directive of the unit's sections with its values, in order."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in UNIT.read_text().splitlines():
        if line and not line.startswith(("#", "[")):
            name, _, value = line.partition("=")
            found[name].append(value)
    return found


def _environment() -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in _directives()["Environment"])


def test_the_unit_starts_a_command_that_exists_on_the_home_it_may_write() -> None:
    """Command and options are ours; HOME is the state directory, in the command and for others."""
    program, *arguments = _directives()["ExecStart"][0].split()
    assert Path(program).name == "opentrail"
    group = typer.main.get_command(application)
    context = group.make_context("opentrail", arguments)  # raises for what the command line does not know
    command = group.get_command(context, arguments[0])  # type: ignore[attr-defined] # a group, as typer makes it
    parsed = command.make_context(arguments[0], arguments[1:])
    state = Path("/var/lib") / _directives()["StateDirectory"][0]
    assert parsed.params["home"] == state == Path(_environment()["OPENTRAIL_HOME"])
    assert Home(state).config.parent == state
    assert _directives()["StateDirectoryMode"] == ["0700"]


def test_the_units_settings_exist() -> None:
    """Its OPENTRAIL_ variables are settings, or HOME."""
    known = {
        f"OPENTRAIL_{section}_{name}".upper() for section, kind in SECTIONS.items() for name, _, _ in names_of(kind)
    }
    ours = {name for name in _environment() if name.startswith("OPENTRAIL_")}
    assert ours - {"OPENTRAIL_HOME"} <= known


def test_the_units_memory_settings_are_in_bytes() -> None:
    """The C library takes digits only: ``64M`` would be 64 bytes."""
    values = {name: value for name, value in _environment().items() if name.startswith("MALLOC_")}
    assert set(values) == {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_"}
    assert all(value.isdecimal() and int(value) >= 1 << 20 for value in values.values())


def test_the_unit_takes_the_exit_codes_of_the_command_line() -> None:
    """Wrong configuration (2) is not tried again; a failure (1) is."""
    directives = _directives()
    assert directives["Restart"] == ["on-failure"]
    assert directives["RestartPreventExitStatus"] == ["2"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_understands_the_unit_and_finds_it_hardened(tmp_path: Path) -> None:
    """``systemd-analyze`` has no complaint, and an exposure of at most 1.5 of 10."""
    program = tmp_path / "opentrail"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "opentrail.service"
    unit.write_text(UNIT.read_text().replace("/opt/opentrail/bin/opentrail", str(program)))
    checked = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
    assert (checked.returncode, checked.stderr) == (0, "")
    judged = ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", str(unit)]
    security = subprocess.run(judged, capture_output=True, text=True, timeout=60)
    assert security.returncode == 0, security.stdout


@pytest.mark.parametrize("is_abstract", [False, True])
def test_systemd_hears_us(tmp_path: Path, is_abstract: bool) -> None:
    """On a socket with a path or an abstract one."""
    name = f"@opentrail-{tmp_path.name}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0{name[1:]}" if is_abstract else name)
        receiver.settimeout(5)
        notify(READY, {"NOTIFY_SOCKET": name})
        notify(STOPPING, {"NOTIFY_SOCKET": name})
        assert [receiver.recv(64), receiver.recv(64)] == [b"READY=1", b"STOPPING=1"]


@pytest.mark.parametrize("address", [None, "", "relative", "/nowhere/at/all", "@"])
def test_nobody_to_tell_is_no_problem(address: str | None) -> None:
    """Without the variable, with nonsense in it, or with a socket that is gone."""
    notify(READY, {} if address is None else {"NOTIFY_SOCKET": address})
