"""The engine driver for goiardi, Debian's Chef server: one process and one private directory per server.

Rules: opsworks-cm fact sheet 12. The process listens on loopback only and always authenticates; its port is free,
remembered, and chosen again where somebody else took it meanwhile. Stops are quiet (see ``goiardi_freezes``). The
processes are the supervisor's children, so they are restarted when they die and never outlive us.
"""

import logging
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from opentrail.aws.http import Reply
from opentrail.clock import Clock, Entropy
from opentrail.errors import OutboundError
from opentrail.opsworks.attributes import generate_password
from opentrail.opsworks.engine import (
    ENGINE_GONE,
    ENGINE_MISSING,
    ENGINE_RESTARTED,
    ENGINE_URL,
    EngineCall,
    EngineSpec,
    FirstUsers,
    Health,
    HealthState,
    Restoration,
)
from opentrail.opsworks.goiardi_api import GoiardiApi
from opentrail.opsworks.goiardi_files import FREEZE_INTERVAL_S, GoiardiFiles
from opentrail.opsworks.goiardi_freezes import SETTLE_LIMIT_S, await_freeze, pause, settle
from opentrail.opsworks.goiardi_places import GoiardiPlaces
from opentrail.processes.child import ChildSpec
from opentrail.processes.ports import LOOPBACK, free_ports, is_free
from opentrail.processes.supervisor import Supervisor

BINARY = "goiardi"
EVENTS_KEPT = 10_000
HTTPS_PORT = 443
SAFE_METHODS = frozenset({"GET", "HEAD"})
_STARTS = 3
_MISSING = "goiardi, the Chef engine, is not installed on this machine; install it with: apt-get install goiardi"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_log = logging.getLogger(__name__)


class Goiardi:
    """Drives the goiardi processes below ``root`` (see ``goiardi_places``)."""

    def __init__(
        self, root: Path, supervisor: Supervisor, clock: Clock, entropy: Entropy, *, binary: str = BINARY
    ) -> None:
        """Nothing is started; what a killed predecessor left half done is finished or removed."""
        self._places = GoiardiPlaces(root)
        self._supervisor = supervisor
        self._clock = clock
        self._entropy = entropy
        self._binary = binary
        self._lock = threading.Lock()
        self._apis: dict[str, GoiardiApi] = {}
        self._written_at_s: dict[str, float] = {}
        self._places.make()

    def describe(self) -> str:
        """``goiardi 0.11.10``, as the binary says; raises OutboundError where it is missing."""
        try:
            said = subprocess.run([self._path(), "--version"], capture_output=True, timeout=10, check=True, text=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise OutboundError("EngineVersion", f"goiardi --version failed: {type(error).__name__}") from error
        words = said.stdout.split()
        return f"goiardi {words[2]}" if words[:2] == ["goiardi", "version"] else "goiardi"

    def provision(self, spec: EngineSpec, users: FirstUsers) -> None:
        """Make a server from an empty directory with the users admin and pivotal; durable when this returns."""
        self._path()
        self.delete(spec.server_id)
        files = self._files(spec.server_id)
        files.make()
        api = self._run(spec, files)
        api.create_pivotal(users.pivotal_public_key, generate_password(self._entropy))
        api.set_admin_password(users.admin_password)
        self._wrote(spec.server_id)
        self._settle(spec.server_id)
        files.flush()

    def restore(self, spec: EngineSpec, source: Restoration) -> None:
        """Prove the backup's files on a port of their own, then let them take the server's place, port and name."""
        self._path()
        current, restored = self._files(spec.server_id), self._places.restored(spec.server_id)
        restored.take(source.directory)
        try:
            self._prove(spec, restored, source)
        except BaseException:
            restored.remove()
            raise
        port = current.remembered_port()
        if port is not None:
            restored.remember_port(port)
        self.stop(spec.server_id)
        self._places.swap(spec.server_id)
        try:
            self.start(spec)
        except BaseException:
            self._supervisor.stop(_child_name(spec.server_id))
            self._places.swap_back(spec.server_id)
            raise
        self._places.remove_replaced(spec.server_id)

    def start(self, spec: EngineSpec) -> None:
        """Run a server that was provisioned before, on its remembered port where that is still free."""
        if self.is_up(spec.server_id):
            return
        files = self._files(spec.server_id)
        if not files.exists():
            raise _gone()
        self._supervisor.stop(_child_name(spec.server_id))  # one that waits to be restarted, perhaps on a lost port
        files.make()
        files.clear_leftovers()
        self._run(spec, files)

    def is_up(self, server_id: str) -> bool:
        """Whether the process runs right now."""
        child = self._supervisor.child(_child_name(server_id))
        return child is not None and child.is_alive()

    def stop(self, server_id: str) -> None:
        """Stop quietly: nobody reaches it any more, wait until what was acknowledged is on disk, then SIGTERM."""
        if self.is_up(server_id):
            self._apis.pop(server_id, None)
            self._wrote(server_id)
            self._settle(server_id)
        self._supervisor.stop(_child_name(server_id))
        self._forget(server_id)

    def health(self, server_id: str) -> Health:
        """Dead where no process runs, failing where a signed GET does not name the admin, else ok."""
        if not self.is_up(server_id):
            return Health(HealthState.DEAD, "The Chef engine's process is not running")
        api = self._apis.get(server_id)
        problem = "The Chef engine is starting" if api is None else api.admin_problem()
        if problem is None:
            return Health(HealthState.OK)
        if not self.is_up(server_id):  # it died while we asked
            return Health(HealthState.DEAD, "The Chef engine's process is not running")
        return Health(HealthState.FAILING, problem)

    @contextmanager
    def durably(self, server_id: str) -> Iterator[None]:
        """Writes of the block are frozen and flushed at its end, unless the process was another one meanwhile."""
        process = self._pid(server_id)
        yield
        self._wrote(server_id)
        files = self._files(server_id)
        await_freeze(files, self._clock)
        if process is None or self._pid(server_id) != process:
            raise OutboundError(ENGINE_RESTARTED, "the Chef engine was restarted before its writes were on disk")
        try:
            files.flush()
        except OSError as error:
            raise OutboundError("EngineFiles", f"the server's files cannot be flushed: {error.strerror}") from error

    def client_key(self, server_id: str, name: str) -> str | None:
        """A client's public key as goiardi has it."""
        return self._api(server_id).client_key(name)

    def add_client(self, server_id: str, name: str, public_key: str) -> None:
        """Make a plain client."""
        self._api(server_id).add_client(name, public_key)
        self._wrote(server_id)

    def remove_node(self, server_id: str, name: str) -> None:
        """The client goes first: from then on its key cannot make the node object again."""
        api = self._api(server_id)
        api.remove("clients", name)
        api.remove("nodes", name)
        self._wrote(server_id)

    def set_pivotal_key(self, server_id: str, public_key: str) -> None:
        """Replace pivotal's key; goiardi refuses the old one at once (measured)."""
        self._api(server_id).set_pivotal_key(public_key)
        self._wrote(server_id)

    @contextmanager
    def snapshot(self, server_id: str) -> Iterator[Path]:
        """conf, data and lfs as they are after a quiet moment; the server runs on."""
        files = self._files(server_id)
        if not files.exists():
            raise _gone()
        if self.is_up(server_id):
            self._wrote(server_id)  # anybody may have written just now
            self._settle(server_id)
        target = self._places.staging / self._entropy.uuid()
        try:
            files.link_into(target)
            yield target
        finally:
            shutil.rmtree(target, ignore_errors=True)

    def delete(self, server_id: str) -> None:
        """Stop at once (nothing of it is wanted any more) and remove the directory."""
        self._supervisor.stop(_child_name(server_id))
        self._forget(server_id)
        try:
            self._places.remove(server_id)
        except OSError as error:
            raise OutboundError("EngineFiles", f"the server's files cannot be removed: {error.strerror}") from error

    def call(self, server_id: str, call: EngineCall) -> Reply:
        """Pass a call on to the process, and remember when something may have been written."""
        api = self._api(server_id)
        if call.method in SAFE_METHODS:
            return api.call(call)
        self._wrote(server_id)
        try:
            return api.call(call)
        finally:
            self._wrote(server_id)

    def server_ids(self) -> list[str]:
        """The names of the server directories."""
        return sorted(path.name for path in self._places.servers.iterdir() if _UUID.fullmatch(path.name))

    def _path(self) -> str:
        found = shutil.which(self._binary, path="/usr/local/bin:/usr/bin:/bin") or shutil.which(self._binary)
        if found is None:
            raise OutboundError(ENGINE_MISSING, _MISSING, retryable=False)
        return found

    def _files(self, server_id: str) -> GoiardiFiles:
        return self._places.server(server_id)

    def _prove(self, spec: EngineSpec, files: GoiardiFiles, source: Restoration) -> None:
        """Run restored files until they have this server's users and everything of that is on disk, then stop them."""
        name = f"{_child_name(spec.server_id)}-restored"
        api = self._launch(name, spec, files)
        try:
            if not source.keeps_nodes:
                api.forget_nodes()
            api.put_pivotal(source.pivotal_public_key, generate_password(self._entropy))
            if source.admin_password is not None:
                api.set_admin_password(source.admin_password)
            api.reindex()
            self._wait_until_indexed(spec, api)
            written_at_s = self._clock.monotonic()
            settle(files, self._clock, lambda: written_at_s)
        finally:
            self._supervisor.stop(name)
        files.flush_all()

    def _wait_until_indexed(self, spec: EngineSpec, api: GoiardiApi) -> None:
        """The rebuilding runs in the background; a search that lacks something is no reason to fail."""
        begun_s = self._clock.monotonic()
        try:
            while not api.is_indexed():
                if self._clock.monotonic() - begun_s > SETTLE_LIMIT_S:
                    raise OutboundError("EngineIndex", f"it is incomplete after {SETTLE_LIMIT_S:g} s")
                pause()
        except OutboundError as error:
            _log.warning("the search index of Chef server %s is not seen to be whole: %s", spec.server_id, error)

    def _run(self, spec: EngineSpec, files: GoiardiFiles) -> GoiardiApi:
        """Start a server's process, and know its API from now on."""
        api = self._launch(_child_name(spec.server_id), spec, files)
        self._apis[spec.server_id] = api
        self._wrote(spec.server_id)
        return api

    def _launch(self, name: str, spec: EngineSpec, files: GoiardiFiles) -> GoiardiApi:
        """Start a process, on another port if the chosen one was taken between choosing and binding."""
        for attempt in range(1, _STARTS + 1):
            port = self._choose_port(files)
            api = GoiardiApi(port, files.admin_key, self._clock)
            argv = self._argv(files, port)
            child = ChildSpec(name, argv, files.log_file, cwd=files.conf)
            try:
                self._supervisor.start(child, _ready(api), on_restart=self._after_restart(spec.server_id, api))
            except OutboundError as error:
                if attempt == _STARTS or error.code != "Exited" or is_free(port):
                    raise
                continue
            return api
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _choose_port(self, files: GoiardiFiles) -> int:
        with self._lock:
            others = [GoiardiFiles(path) for path in self._places.servers.iterdir() if path != files.directory]
            taken = {other.remembered_port() for other in others}
            port = files.remembered_port()
            while port is None or port in taken or not is_free(port):
                port = free_ports(1)[0]
            files.remember_port(port)
            return port

    def _argv(self, files: GoiardiFiles, port: int) -> tuple[str, ...]:
        """The flags of opsworks-cm fact sheet 12.1; URLs come out as ENGINE_URL's, and the event log is bounded."""
        return (
            *(self._path(), "-A", "-I", LOOPBACK, "-P", str(port), "-H", LOOPBACK),
            *("-Z", ENGINE_URL.removeprefix("https://"), "-W", str(HTTPS_PORT), "--https-urls"),
            *("--conf-root", str(files.conf), "-D", str(files.data_file), "-i", str(files.index_file)),
            *("-F", str(FREEZE_INTERVAL_S), "--local-filestore-dir", str(files.file_store)),
            *("--log-events", "--log-event-keep", str(EVENTS_KEPT), "--skip-log-extended", "-g", "warning"),
        )

    def _after_restart(self, server_id: str, api: GoiardiApi) -> Callable[[], None]:
        def rebuild_index() -> None:
            self._wrote(server_id)
            try:
                api.reindex()
            except OutboundError as error:
                _log.warning("the search index of Chef server %s was not rebuilt: %s", server_id, error)

        return rebuild_index

    def _api(self, server_id: str) -> GoiardiApi:
        api = self._apis.get(server_id)
        if api is None:
            raise OutboundError("NotRunning", "the Chef engine does not run")
        return api

    def _pid(self, server_id: str) -> int | None:
        child = self._supervisor.child(_child_name(server_id))
        return None if child is None else child.pid

    def _wrote(self, server_id: str) -> None:
        self._written_at_s[server_id] = self._clock.monotonic()

    def _forget(self, server_id: str) -> None:
        self._apis.pop(server_id, None)
        self._written_at_s.pop(server_id, None)

    def _settle(self, server_id: str) -> None:
        begun_s = self._clock.monotonic()
        settle(self._files(server_id), self._clock, lambda: self._written_at_s.get(server_id, begun_s))


def _gone() -> OutboundError:
    return OutboundError(ENGINE_GONE, "the server's files are missing", retryable=False)


def _child_name(server_id: str) -> str:
    return f"goiardi-{server_id}"


def _ready(api: GoiardiApi) -> Callable[[], bool]:
    return lambda: api.admin_problem() is None
