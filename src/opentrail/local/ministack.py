"""The embedded MiniStack (extra ``[local]``): an emulator of AWS services that OpenTrail and SeaweedFS do not serve.

* One process on 127.0.0.1, supervised. What it may do and who may call it is ``ministack_server``'s subject: it is
  confined to its own directory, and answers only requests that are signed with ``secret_access_key``, which is new at
  every start. The access key id of a request is the account that it acts for, 12 digits; its region is that of the
  credential scope.
* It starts beside everything else: ``start`` returns at once and ``problem`` says what is missing until it is ready.
* Its state is in memory, saved to its directory on a clean stop only: after kill -9 or a power failure it is as it was
  after the last clean stop. Nothing of OpenTrail depends on it.
* Off: persistence of S3 (not its service here), the SFTP and MQTT listeners, Docker, CloudTrail of its own, execution
  of CodeBuild projects. It sends no telemetry and looks for no updates (source of 1.5.33 searched). What its callers
  have it call (SNS subscriptions, API Gateway integrations, EventBridge destinations) it does call.
* The addresses in its answers begin with ``endpoint``; the gateway puts its own in their place.
"""

import http.client
import importlib.util
import json
import logging
import shutil
import sys
import threading
from pathlib import Path

import opentrail
from opentrail.aws.canonical_request import Scope
from opentrail.aws.sigv4 import SigningKey, sign
from opentrail.clock import Clock, Entropy
from opentrail.errors import ConfigError, OutboundError
from opentrail.local.ministack_server import PORT_VARIABLE, SECRET_FILE_VARIABLE
from opentrail.processes.child import ChildSpec
from opentrail.processes.confinement import landlock_version
from opentrail.processes.ports import LOOPBACK, free_ports, is_free
from opentrail.processes.supervisor import Supervisor
from opentrail.state.private_files import write_private

CHILD_NAME = "ministack"
PACKAGE = "ministack"
READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0

_STATE, _SCRATCH = "state", "scratch"
_NOBODY = "000000000000"  # the account of the readiness call; no caller has it
_PROBE_TIMEOUT_S = 5.0
_HIGHEST_PORT = 65535
_log = logging.getLogger(__name__)


def missing() -> str | None:
    """Why no MiniStack can be run here, for `doctor` and the log; None when it can."""
    if importlib.util.find_spec(PACKAGE) is None:
        return "MiniStack is not installed: pip install 'opentrail[local]'"
    if landlock_version() == 0:
        return "MiniStack runs its callers' code, and this kernel cannot confine it: it has no Landlock (Linux 5.13)"
    return None


class MiniStack:
    """One MiniStack whose state, port and log live in one private directory."""

    def __init__(self, directory: Path, supervisor: Supervisor, clock: Clock, entropy: Entropy) -> None:
        """Nothing is read or written until ``start``."""
        self._directory = directory.absolute()
        self._work = self._directory / "work"  # all that the process may write, and of ours all that it may read
        self._secret_file = self._directory / "secret"
        self._supervisor = supervisor
        self._clock = clock
        self._secret = entropy.token(32).hex()
        self._port = 0
        self._starting: threading.Thread | None = None
        self._failure: str | None = None

    @property
    def is_started(self) -> bool:
        """Whether ``start`` was called, so that the address is known."""
        return bool(self._port)

    @property
    def endpoint(self) -> str:
        """Its address, for example ``http://127.0.0.1:14566``; it may change from one start to the next."""
        if not self._port:
            raise RuntimeError("MiniStack has not been started")
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def secret_access_key(self) -> str:
        """What requests to it are signed with, under any account's id as access key id."""
        return self._secret

    def start(self) -> None:
        """Begin to start it, on a thread of its own; ``endpoint`` is known when this returns.

        Its port is the one of the last start, chosen anew when it is taken. Raises ConfigError when it cannot be run
        here at all (``missing``).
        """
        reason = missing()
        if reason is not None:
            raise ConfigError(reason)
        shutil.rmtree(self._work / _SCRATCH, ignore_errors=True)  # the code of functions of earlier runs
        for directory in (self._directory, self._work, self._work / _STATE, self._work / _SCRATCH):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory.chmod(0o700)
        self._port = _kept_or_free_port(self._directory / "port")
        write_private(self._secret_file, self._secret)
        self._failure = None
        self._starting = threading.Thread(target=self._launch, name="start-ministack", daemon=True)
        self._starting.start()

    def wait_until_ready(self) -> None:
        """Return when it has answered a call. Raises OutboundError when it did not come up."""
        if self._starting is None:
            raise RuntimeError("MiniStack has not been started")
        self._starting.join()
        if self._failure is not None:
            raise OutboundError("NotReady", self._failure)

    def stop(self) -> None:
        """End it, in order: it saves its state. Nothing happens when it does not run."""
        self._supervisor.stop(CHILD_NAME)
        if self._starting is not None:
            self._starting.join()
            self._supervisor.stop(CHILD_NAME)  # it may have come into being only after the first one

    def problem(self) -> str | None:
        """Why it cannot be called at the moment; None when it can."""
        if self._starting is None:
            return "the embedded MiniStack is not running"
        if self._failure is not None:
            return self._failure
        if self._starting.is_alive():
            return "the embedded MiniStack is starting"
        child = self._supervisor.child(CHILD_NAME)
        return None if child is not None and child.is_alive() else "the embedded MiniStack is down"

    def _launch(self) -> None:
        spec = ChildSpec(
            name=CHILD_NAME,
            argv=(sys.executable, "-P", "-m", "opentrail.local.ministack_server"),
            log_file=self._directory / "log",
            env=self._environment(),
            cwd=self._work,
            stop_timeout_s=STOP_TIMEOUT_S,
        )
        try:
            self._supervisor.start(spec, self._answers, ready_timeout_s=READY_TIMEOUT_S)
        except OutboundError as error:
            self._failure = error.message
            if error.code != "Stopped":
                _log.error("%s", error.message)

    def _environment(self) -> dict[str, str]:
        work = str(self._work)
        return {
            SECRET_FILE_VARIABLE: str(self._secret_file),
            # Which OpenTrail the child runs is ours to say; taken out before any code of others runs.
            "PYTHONPATH": str(Path(opentrail.__file__).parents[1]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": work,
            "TMPDIR": str(self._work / _SCRATCH),
            "MINISTACK_HOST": LOOPBACK,
            PORT_VARIABLE: str(self._port),
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self._work / _STATE),
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "CLOUDTRAIL_RECORDING": "0",
            "MINISTACK_CODEBUILD_EXECUTE": "0",
            "DOCKER_HOST": f"unix://{work}/no-docker.sock",
            "LOG_LEVEL": "WARNING",
        }

    def _answers(self) -> bool:
        """Whether a real call, signed as the gateway signs, is answered: SQS ListQueues."""
        headers = {
            "host": f"{LOOPBACK}:{self._port}",
            "content-type": "application/x-amz-json-1.0",
            "x-amz-target": "AmazonSQS.ListQueues",
        }
        now = self._clock.now()
        scope = Scope(f"{now:%Y%m%d}", "us-east-1", "sqs")
        key = SigningKey(self._secret, scope)
        headers |= sign(
            *("POST", "/", "", headers),
            key=key,
            access_key_id=_NOBODY,
            scope=scope,
            signed_at=now,
            payload_hash="UNSIGNED-PAYLOAD",
        )
        connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=_PROBE_TIMEOUT_S)
        try:
            connection.request("POST", "/", b"{}", headers)
            answer = connection.getresponse()
            return answer.status == http.HTTPStatus.OK and isinstance(json.loads(answer.read()), dict)
        except (OSError, http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()


def _kept_or_free_port(path: Path) -> int:
    """The port of the last start if nobody has it, else another, which is kept."""
    try:
        kept = int(path.read_text())
        if 0 < kept <= _HIGHEST_PORT and is_free(kept):
            return kept
    except (FileNotFoundError, ValueError):
        pass  # nothing worth keeping
    (port,) = free_ports(1)
    write_private(path, str(port))
    return port
