"""Whether a backup is whole: judged from its bytes alone, without changing or trusting anything of it."""

from pathlib import Path

from opentrail.backup.files import Progress, ensure_equal, files_in, quiet
from opentrail.backup.manifest import CHECKSUM, MANIFEST, Manifest, parse
from opentrail.errors import ConfigError, IntegrityError
from opentrail.journal import cursors
from opentrail.journal.copying import check_segments
from opentrail.state.database_copy import read_copy
from opentrail.state.home import FORMAT_VERSION


def manifest_in(directory: Path) -> Manifest:
    """The manifest of a backup.

    Raises ConfigError where the directory holds no backup, or one of a newer OpenTrail; IntegrityError where the
    manifest is damaged.
    """
    try:
        rendered, checksum = (directory / MANIFEST).read_bytes(), (directory / CHECKSUM).read_bytes()
    except OSError as problem:
        raise ConfigError(
            f"{directory} holds no backup: {problem.filename}: {problem.strerror or problem}"
        ) from problem
    try:
        manifest = parse(rendered, checksum)
    except IntegrityError as problem:
        raise IntegrityError(f"{directory}: {problem}") from None
    if manifest.format_version > FORMAT_VERSION:
        raise ConfigError(
            f"{directory} was made by a newer OpenTrail (format {manifest.format_version}, this one knows "
            f"{FORMAT_VERSION}); restore it with that release"
        )
    return manifest


def verify(directory: Path, progress: Progress = quiet) -> Manifest:
    """Prove a backup: every file is there with its hash and no other; the journal holds every frame it should, each
    valid; the state is sound and fits the journal.

    Raises ConfigError as ``manifest_in``; IntegrityError that names the file.
    """
    manifest = manifest_in(directory)
    expected = {entry.path: entry for entry in manifest.files}
    present = set(files_in(directory))
    for path in sorted(expected.keys() ^ present):
        raise IntegrityError(f"{directory / path}: {'missing' if path in expected else 'not in the manifest'}")
    for entry in manifest.files:
        ensure_equal(directory, entry, progress)
    if (directory / "format").read_text().strip() != str(manifest.format_version):
        raise IntegrityError(f"{directory / 'format'}: not the format that the manifest names")
    found = check_segments(directory / "journal")
    if found != manifest.sequences:
        raise IntegrityError(f"{directory / 'journal'}: holds {found}, the manifest says {manifest.sequences}")
    with read_copy(directory / "state" / "opentrail.sqlite") as connection:
        cursors.ensure_not_ahead(cursors.every(connection), found.last)
    return manifest
