"""docs/validate.md tells what the checker can say."""

import re
from pathlib import Path

from opentrail.verify.findings import Kind, NoteKind

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "validate.md").read_text()


def test_every_finding_is_explained_and_no_other() -> None:
    """The table of findings has each kind once."""
    section = TEXT.partition("## Findings")[2].partition("\n## ")[0]
    rows = [row.partition(" | ")[0] for row in section.splitlines() if row.startswith("| `")]
    assert sorted(kind for row in rows for kind in re.findall(r"`([a-z-]+)`", row)) == sorted(Kind)


def test_every_note_is_explained() -> None:
    """By its name."""
    for kind in NoteKind:
        assert f"`{kind}`" in TEXT
