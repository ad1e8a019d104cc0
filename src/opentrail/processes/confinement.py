"""Confinement: a process gives up, for itself and all it will start, files, ports and powers that it does not need.

For children that run other people's code under our own user id. Landlock (Linux 5.13) closes what is not named:
reading, writing, TCP ports to listen on (Linux 6.7), signals and abstract sockets of processes outside (6.12); with any
Landlock the kernel refuses to trace processes outside, which covers their environment and memory below ``/proc``. The
process itself cannot be traced by what it starts, and root is left without capabilities. Outgoing connections, memory
and time are not limited. Numbers and layouts: ``linux/landlock.h``, ``linux/capability.h``, ``linux/prctl.h``.

Standard library only, and no import of ours: it runs before anything else in a child.
"""

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_ASK_VERSION = 1
_RULE_PATH, _RULE_PORT = 1, 2
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REFER, _TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 13, 1 << 14
_FIRST_RIGHTS = (1 << 13) - 1
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_RIGHTS_BY_VERSION = (0, _FIRST_RIGHTS, _FIRST_RIGHTS | _REFER, _FIRST_RIGHTS | _REFER | _TRUNCATE)
_BIND_TCP = 1
_PORTS_SINCE, _SCOPES_SINCE = 4, 6
_ABSTRACT_SOCKETS, _SIGNALS = 1, 2

_PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 4, 24, 38
_CAPABILITIES = 64  # more than there are; the kernel refuses the rest
_CAPABILITY_VERSION_3 = 0x20080522


def landlock_version() -> int:
    """The kernel's Landlock version; 0 where it has none or none is allowed here."""
    return max(0, int(_libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_ASK_VERSION))))


def confine(readable: Iterable[Path], writable: Iterable[Path], listen_ports: Iterable[int]) -> None:
    """Keep only these trees and files, for good; call it before threads are started, for it binds the calling one.

    Paths that do not exist are left out. Port 0 stands for those that the kernel picks. Raises OSError where the kernel
    cannot do it; the process must end then.
    """
    version = landlock_version()
    rights = _RIGHTS_BY_VERSION[min(version, len(_RIGHTS_BY_VERSION) - 1)]
    ports = _BIND_TCP if version >= _PORTS_SINCE else 0
    scopes = _ABSTRACT_SOCKETS | _SIGNALS if version >= _SCOPES_SINCE else 0
    size_bytes = 24 if scopes else 16 if ports else 8  # what the kernel of that version knows
    attributes = struct.pack("=QQQ", rights, ports, scopes)[:size_bytes]
    ruleset = _called(_CREATE_RULESET, attributes, ctypes.c_size_t(size_bytes), ctypes.c_uint32(0))
    try:
        for path in readable:
            _allow_path(ruleset, path, rights & _READ)
        for path in writable:
            _allow_path(ruleset, path, rights)
        for port in listen_ports if ports else ():
            _called(_ADD_RULE, ruleset, _RULE_PORT, struct.pack("=QQ", _BIND_TCP, port), ctypes.c_uint32(0))
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        _called(_RESTRICT_SELF, ruleset, ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
    _give_up_capabilities()
    _prctl(_PR_SET_DUMPABLE, 0)


def _allow_path(ruleset: int, path: Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return
    try:
        allowed = rights if path.is_dir() else rights & _ON_FILES
        _called(_ADD_RULE, ruleset, _RULE_PATH, struct.pack("=Qi", allowed, place), ctypes.c_uint32(0))
    finally:
        os.close(place)


def _give_up_capabilities() -> None:
    """All of them, and those that a program started by root would get: with one, it could trace this process."""
    for capability in range(_CAPABILITIES):
        _libc().prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails, harmlessly, where we have none to give up
    header, none = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), bytes(24)
    if _libc().capset(header, none) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _prctl(option: int, value: int) -> None:
    if _libc().prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def _called(number: int, *arguments: object) -> int:
    result = int(_libc().syscall(number, *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"Landlock is not possible: {os.strerror(ctypes.get_errno())}")
    return result


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
