"""Runs in the child, as a script, before the program itself: ask the kernel for a signal when the parent dies, then
become the program.

Doing this in a small interpreter of its own, rather than between fork and exec of a threaded process, keeps the
parent's locks out of it. Arguments: the death signal, the expected parent's pid, the descriptor of a pipe, then the
program's argv. The pipe closes by itself when the program starts; when it cannot, the error number is written to it.
Standard library only: it runs isolated and without site packages.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
CANNOT_RUN = 127


def main(arguments: list[str]) -> int:
    """Become the program. Only returns, with 127, if that was not possible or the parent is gone already."""
    death_signal, parent, report = (int(value) for value in arguments[:3])
    argv = arguments[3:]
    os.set_inheritable(report, False)
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        return _cannot_run(report, ctypes.get_errno())
    if os.getppid() != parent:  # it died before the kernel was told: no signal would ever come
        return CANNOT_RUN
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - the point of this script
    except OSError as error:
        return _cannot_run(report, error.errno or 0)


def _cannot_run(report: int, error_number: int) -> int:
    os.write(report, str(error_number).encode())
    return CANNOT_RUN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
