"""``opentrail backup`` and ``opentrail restore``: a copy of HOME, proved whole, and a HOME made of one."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.text import Text

from opentrail.cli.connection import call_opentrail, root_key
from opentrail.cli.options import ConfigOption, HomeOption, JsonOption, home_of, settings_of

if TYPE_CHECKING:
    from opentrail.backup.manifest import Manifest

_PATIENCE_S = 3600.0
_MIB = 1024 * 1024


def backup(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to put it; must not exist, or be empty.")],
    home: HomeOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy journal, state and keys to DIR, beside a running gateway or without one, and prove the copy."""
    from opentrail.backup.transfer import ensure_takes_backup, take_away

    place, target = home_of(home), directory.expanduser().absolute()
    ensure_takes_backup(target, place)
    root_key(place)  # or a HOME would be made, only to be copied
    with _progress("copying") as progress:
        answer = call_opentrail(place, settings_of(place, config), "CreateBackup", {}, patience_s=_PATIENCE_S)
        made = answer["Backup"]
        progress.expect(2 * made["SizeBytes"])  # copied, and read again
        manifest = take_away(place, made["BackupId"], target, progress.advance)
    _tell(manifest, target, f"backup of {place.root} in {target}", as_json=as_json)


def restore(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A backup.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prove the backup in DIR, and make a HOME of it, which must not exist or be empty."""
    from opentrail.backup import transfer
    from opentrail.backup.verification import manifest_in

    place, source = home_of(home), directory.expanduser().absolute()
    with _progress("restoring") as progress:
        progress.expect(2 * manifest_in(source).size_bytes)
        manifest = transfer.restore(source, place, progress.advance)
    _tell(manifest, place.root, f"{place.root} restored from {source}", as_json=as_json)


def _tell(manifest: "Manifest", where: Path, sentence: str, *, as_json: bool) -> None:
    sequences = manifest.sequences
    if as_json:
        facts = {
            "directory": str(where),
            "backupId": manifest.backup_id,
            "createdAt": manifest.created_at.isoformat(),
            "version": manifest.version,
            "format": manifest.format_version,
            "files": len(manifest.files),
            "sizeBytes": manifest.size_bytes,
            "firstSequence": sequences.first,
            "lastSequence": sequences.last,
        }
        print(json.dumps(facts))
        return
    screen = Console(soft_wrap=True, highlight=False)
    screen.print(Text(f"{sentence}: {len(manifest.files)} files, {manifest.size_bytes / _MIB:.1f} MiB"))
    screen.print(Text(f"journal: sequences {sequences.first} to {sequences.last}, every frame valid"))
    screen.print(Text(f"made {manifest.created_at:%Y-%m-%d %H:%M:%S} UTC by OpenTrail {manifest.version}"))


class _Shown:
    """A bar of bytes, on a terminal."""

    def __init__(self, bar: Progress, title: str) -> None:
        self._bar = bar
        self._task = bar.add_task(title, total=None)

    def expect(self, size_bytes: int) -> None:
        """So many bytes are to be dealt with."""
        self._bar.update(self._task, total=size_bytes)

    def advance(self, size_bytes: int) -> None:
        """So many more are done."""
        self._bar.advance(self._task, size_bytes)


@contextmanager
def _progress(title: str) -> Iterator[_Shown]:
    screen = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        yield _Shown(bar, title)
