"""A real, hardened SeaweedFS for tests: ``with running_seaweed(tmp_path) as s3``, a session fixture too."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opentrail.clock import SystemClock, SystemEntropy
from opentrail.local.seaweedfs import SeaweedFS
from opentrail.processes.supervisor import Supervisor


@contextmanager
def running_seaweed(directory: Path) -> Iterator[SeaweedFS]:
    """Run SeaweedFS under a directory until the block ends; ``s3.store()`` is a client with its keys."""
    supervisor = Supervisor(directory / "processes", SystemClock())
    server = SeaweedFS(directory / "seaweedfs", supervisor, SystemEntropy())
    try:
        server.start()
        yield server
    finally:
        supervisor.stop_all()
