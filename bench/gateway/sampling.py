"""A sampling profiler for the gateway's event loop, and the stages of a call that its samples fall into.

A timer of the kernel counts the CPU time of the event loop's thread alone, and signals that thread at each expiry (the
kernel's tick bounds how often: every 4 ms at 250 Hz). The handler notes the innermost function, and the stage: that of
the innermost frame that belongs to one. Work of the kernel and of C code is seen under the next Python frame that runs;
what the event loop writes at the end of its round appears under whatever comes next, or as ``event loop``. Samples are
few and cheap, so that small functions are not overrated as under a tracing profiler.
"""

import ctypes
import os
import signal
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

_PERIOD_NS = 1_000_000
_SIGEV_THREAD_ID = 4  # linux/signal.h
_NATIVE = "(native)"

EVENT_LOOP = "event loop"
# The first row that fits a frame counts: the end of its file's path, and its function or "" for every one. Functions
# stand before their files. What stands in no row (asyncio, contextlib, dataclasses) belongs to whoever called it.
_STAGES: tuple[tuple[str, str, str], ...] = (
    ("HTTP out", "gateway/asgi.py", "_send"),
    ("HTTP out", "uvicorn/protocols/http/httptools_impl.py", "send"),
    ("HTTP in", "gateway/asgi.py", ""),
    ("HTTP in", "uvicorn/", ""),
    ("signing anew", "gateway/upstream.py", "_signed"),
    ("signing anew", "aws/sigv4.py", "sign"),
    ("upstream client", "gateway/upstream.py", ""),
    ("upstream client", "gateway/upstreams.py", ""),
    ("upstream client", "/aiohttp/", ""),
    ("upstream client", "/yarl/", ""),
    ("upstream client", "/multidict/", ""),
    ("decode answer", "gateway/service_answers.py", "_elements"),
    ("answer", "gateway/service_answers.py", ""),
    ("answer", "gateway/addresses.py", ""),
    ("record, intent", "gateway/recording.py", "intend"),
    ("record, outcome", "gateway/recording.py", "conclude"),
    ("record, outcome", "gateway/recording.py", "record"),
    ("record, outcome", "gateway/service_evidence.py", ""),
    ("journal, loop", "/journal/", ""),
    ("authorise", "gateway/service_requests.py", "permit"),
    ("authorise", "gateway/authorise.py", ""),
    ("authorise", "gateway/upstream_permissions.py", ""),
    ("SigV4", "gateway/admit.py", ""),
    ("SigV4", "aws/sigv4.py", ""),
    ("route", "gateway/route.py", ""),
    ("route", "gateway/pipeline.py", ""),
    ("body", "gateway/spool.py", ""),
    ("resources", "events/call_facts.py", ""),
    ("resources", "events/resource_arns.py", ""),
    ("decode request", "gateway/service_requests.py", ""),
    ("decode request", "gateway/calls.py", ""),
    ("door", "gateway/entrance.py", ""),
    ("door", "gateway/service_door.py", ""),
    ("door", "gateway/undisturbed.py", ""),
    ("door", "gateway/s3_bodies.py", ""),
)
STAGES = (*dict.fromkeys(stage for stage, _, _ in _STAGES), EVENT_LOOP)


class _SignalEvent(ctypes.Structure):
    """``struct sigevent`` of Linux on 64 bits: 64 bytes."""

    _fields_ = [
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("thread_id", ctypes.c_int),
        ("rest", ctypes.c_char * 44),
    ]


class _Interval(ctypes.Structure):
    """``struct itimerspec``."""

    _fields_ = [(name, ctypes.c_long) for name in ("every_s", "every_ns", "first_s", "first_ns")]


class Sampler:
    """Samples the thread that calls ``start``, which must be the main one, to the end of the process."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._stage_of: dict[CodeType, str] = {}
        self._before: dict[str, float] = {}
        self._started_s = 0.0

    def start(self) -> None:
        """Begin. Raises OSError where the kernel refuses the timer."""
        if self._started_s:
            return
        self._started_s, self._before = time.perf_counter(), _cpu_of_threads()
        signal.signal(signal.SIGPROF, self._sample)
        signal.siginterrupt(signal.SIGPROF, False)
        libc = ctypes.CDLL(None, use_errno=True)
        event = _SignalEvent(None, signal.SIGPROF, _SIGEV_THREAD_ID, threading.get_native_id(), b"")
        timer = ctypes.c_void_p()
        interval = _Interval(0, _PERIOD_NS, 0, _PERIOD_NS)
        _checked(libc.timer_create(time.CLOCK_THREAD_CPUTIME_ID, ctypes.byref(event), ctypes.byref(timer)))
        _checked(libc.timer_settime(timer, 0, ctypes.byref(interval), None))

    def report(self) -> dict[str, Any]:
        """Samples by stage and function, and CPU seconds by thread, since the start."""
        after = _cpu_of_threads()
        return {
            "samples": [[stage, function, count] for (stage, function), count in self._counts.most_common()],
            "threads_cpu_s": {name: cpu_s - self._before.get(name, 0.0) for name, cpu_s in after.items()},
        }

    def _sample(self, _signal: int, frame: FrameType | None) -> None:
        innermost = _named(frame) if frame is not None else _NATIVE
        stage = EVENT_LOOP
        while frame is not None:
            code = frame.f_code
            found = self._stage_of.get(code)
            if found is None:
                found = self._stage_of[code] = _stage(code)
            if found:
                stage = found
                break
            frame = frame.f_back
        self._counts[stage, innermost] += 1


def _stage(code: CodeType) -> str:
    """A function's own stage; empty where it has none."""
    if code.co_filename.endswith("bench/gateway/serve.py"):
        return EVENT_LOOP  # nothing but the loop runs under it
    rows = (row for row in _STAGES if row[1] in code.co_filename and row[2] in ("", code.co_name))
    return next(rows, ("", "", ""))[0]


def _named(frame: FrameType) -> str:
    """File and function; of a dataclass's own methods, whose source is no file, the class."""
    code = frame.f_code
    if code.co_filename == "<string>":
        return f"{type(frame.f_locals.get('self')).__name__}.{code.co_name}"
    return f"{'/'.join(Path(code.co_filename).parts[-2:])}:{code.co_name}"


def _checked(status: int) -> None:
    if status:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _cpu_of_threads() -> dict[str, float]:
    """CPU seconds of this process's threads that Python knows, by name; numbers of a pool's threads are left out."""
    found: defaultdict[str, float] = defaultdict(float)
    for thread in threading.enumerate():
        try:
            text = Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text()
        except OSError:  # it has just ended
            continue
        found[thread.name.rstrip("0123456789_-")] += int(text.split()[0]) / 1e9
    return dict(found)
