"""What runs in MiniStack's process: its ASGI application, confined and closed to everybody but the gateway.

* MiniStack accepts any credentials, and runs its callers' code (Lambda functions) under our user id. So before it is
  loaded, the process confines itself (``processes.confinement``) to the interpreter, the system's programs and its own
  directory: OpenTrail's keys, journal and state are out of reach for it and for the functions.
* Every request must be signed with the secret that only the gateway knows. The access key id is free: it is the
  account, by which MiniStack tells tenants apart. Bodies are not checked again, the gateway has done that.
* MiniStack's own paths (``/_ministack/reset`` empties every account) are refused, signed or not; open without a
  signature are two that hold an unguessable token, where functions report to CloudFormation.

The secret is read from a file that is out of reach afterwards; a function cannot read it from this process either.
"""

import compileall
import importlib.util
import json
import os
import sys
import sysconfig
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from opentrail.processes.confinement import confine

SECRET_FILE_VARIABLE = "OPENTRAIL_MINISTACK_SECRET_FILE"  # noqa: S105 - a name, no secret
PORT_VARIABLE = "GATEWAY_PORT"  # MiniStack's own, which it also writes into addresses

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/proc", "/sys/fs/cgroup", "/sys/devices/system/cpu")
_SETTINGS = (
    *("resolv.conf", "hosts", "host.conf", "nsswitch.conf", "gai.conf", "protocols", "services", "passwd", "group"),
    *("localtime", "timezone", "ssl", "ca-certificates", "pki", "ld.so.cache", "ld.so.conf", "ld.so.conf.d"),
    *("alternatives", "mime.types", "os-release"),
)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_ANY_FREE_PORT = 0  # for the local endpoint of custom Lambda runtimes
_KEEP_ALIVE_S = 75
_GRACE_S = 3
_TOKEN_PATHS = ("/_ministack/cfn-response/", "/_ministack/cfn-signal/")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


class Guard:
    """An ASGI application in front of another: only what ``is_allowed`` allows gets through, and the lifespan."""

    def __init__(self, inner: Application, is_allowed: Callable[[Message], bool]) -> None:
        self._inner = inner
        self._is_allowed = is_allowed

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer 403 to what is not allowed; WebSockets are closed."""
        if scope["type"] == "lifespan" or (scope["type"] == "http" and self._is_allowed(scope)):
            await self._inner(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            body = json.dumps({"__type": "AccessDeniedException", "message": "This server answers OpenTrail only."})
            headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": body.encode()})


def signed_with(secret: str) -> Callable[[Message], bool]:
    """Whether a request carries a signature made with the secret, whatever its access key id, and no inner path."""
    from opentrail.aws.http import RequestHead, folded
    from opentrail.aws.sigv4 import SignatureProblem, SigningKeys, read_authorization, verify
    from opentrail.clock import SystemClock

    keys, clock = SigningKeys(capacity=256), SystemClock()

    def is_allowed(scope: Message) -> bool:
        path, decoded = scope["raw_path"].decode("latin-1"), str(scope["path"])
        if decoded.startswith("/_"):
            return scope["method"] == "PUT" and decoded.startswith(_TOKEN_PATHS)
        head = RequestHead(scope["method"], path, scope["query_string"].decode("latin-1"), folded(scope["headers"]))
        try:
            found = read_authorization(head)
            if found is None or found.presigned or found.payload_hash is None:
                return False
            key = keys.get("", secret, found.scope)
            verify(head, found, key, found.payload_hash, now=clock.now())
        except SignatureProblem:
            return False
        return True

    return is_allowed


def main() -> None:
    """Serve MiniStack on the port in the environment until SIGTERM, at which it saves its state."""
    secret, port = Path(os.environ.pop(SECRET_FILE_VARIABLE)).read_text(), int(os.environ[PORT_VARIABLE])
    os.environ.pop("PYTHONPATH", None)
    _compile_ministack()
    confine(_readable(), [Path.cwd(), Path("/dev/null")], [port, _ANY_FREE_PORT])

    import uvicorn
    from ministack.app import app

    uvicorn.run(
        Guard(app, signed_with(secret)),
        host="127.0.0.1",
        port=port,
        log_config=None,  # MiniStack has configured logging
        access_log=False,
        server_header=False,
        date_header=False,  # MiniStack writes its own
        ws="none",
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )


def _compile_ministack() -> None:
    """Have its bytecode beside it: the confined process cannot write it, and would compile it anew at every start.

    From the second start of an installation on there is nothing to do. Where we may not write there, pip has done it.
    """
    spec = importlib.util.find_spec("ministack")
    if spec is not None and spec.submodule_search_locations:
        compileall.compile_dir(next(iter(spec.submodule_search_locations)), quiet=2)


def _readable() -> list[Path]:
    """What Python, the programs that functions use and name resolution need; links are followed."""
    settings = [(Path("/etc") / name).resolve() for name in _SETTINGS]
    python = [Path(part).resolve() for part in (sys.prefix, sys.base_prefix, *sysconfig.get_paths().values())]
    packages = [Path(part).resolve() for part in sys.path if part]
    return [*map(Path, _SYSTEM), *map(Path, _DEVICES), *settings, *python, *packages]


if __name__ == "__main__":
    main()
