"""The documentation says what is true: settings, operations and commands."""

import re
from pathlib import Path

import pytest

from opentrail.app.metrics import METRICS
from opentrail.backup.manifest import FILES, TREES
from opentrail.cli.main import application
from opentrail.config import SECTIONS, UpstreamSettings, names_of
from opentrail.services.cloudtrail.service import CloudTrailService
from opentrail.services.operation import handlers_of
from opentrail.services.opsworks_cm import UNSUPPORTED, OpsWorksCmService

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def test_every_setting_is_documented_with_its_default_and_no_other() -> None:
    """docs/configuration.md has exactly the table that the code has."""
    text = (ROOT / "docs" / "configuration.md").read_text()
    rows = set(re.findall(r"^\| `(\w+)` \| `(.*?)` \| (.+) \|$", text, re.MULTILINE))
    sections = {**SECTIONS, "upstream.NAME": UpstreamSettings}
    known = {
        (name, _written(default), sentence)
        for section in sections.values()
        for name, default, sentence in names_of(section)
    }
    assert rows == known
    for section in sections:
        assert f"## [{section}]" in text


def _written(default: object) -> str:
    """A default as TOML has it."""
    if default in ("", ()):
        return '""' if default == "" else "[]"
    return str(default).lower() if isinstance(default, bool) else str(default)


def test_every_metric_is_documented_and_no_other() -> None:
    """docs/operations.md has exactly the table that the code has: name, kind, labels, meaning."""
    text = (ROOT / "docs" / "operations.md").read_text()
    rows = re.findall(r"^\| `(opentrail_\w+)` \| (\w+) \| (.+?) \| (.+) \|$", text, re.MULTILINE)
    known = [
        (name, one.kind, ", ".join(f"`{label}`" for label in one.labels) or "-", one.sentence)
        for name, one in METRICS.items()
    ]
    assert rows == known


def _coverage(part: str) -> tuple[str, str]:
    """The served and the not-served cell of a part's row in README's coverage table."""
    row = next(line for line in README.splitlines() if line.startswith(f"| **{part}**"))
    _, _, served, missing, _ = row.split(" | ") if row.endswith(" | ") else [*row.rstrip("|").split("|"), ""]
    return served, missing


def test_the_coverage_table_names_every_operation_of_opsworks_cm() -> None:
    """What is served is in the one column, what is refused in the other."""
    served, missing = _coverage("OpsWorks CM")
    for name in handlers_of_class(OpsWorksCmService):
        assert name in served, name
    for name in UNSUPPORTED:
        assert name in missing, name


def test_the_coverage_table_names_every_served_operation_of_cloudtrail() -> None:
    """Every handler stands in the table."""
    served, _ = _coverage("CloudTrail")
    for name in handlers_of_class(CloudTrailService):
        assert name in served, name


def handlers_of_class(kind: type) -> set[str]:
    """The operations that a class answers, without making one."""
    return set(handlers_of(object.__new__(kind)))


def test_every_command_is_in_the_readme() -> None:
    """Commands and groups that exist are told."""
    names = {command.name or getattr(command.callback, "__name__", "") for command in application.registered_commands}
    names |= {group.name or "" for group in application.registered_groups}
    for name in names:
        assert f"opentrail {name}" in README, name


def test_every_decision_is_numbered_once() -> None:
    """Decisions are found by their number."""
    numbers = [path.name[:4] for path in sorted((ROOT / "docs" / "decisions").glob("*.md"))]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]


def test_the_lock_file_names_no_address_and_hashes_everything() -> None:
    """requirements.lock works with any index that has these very files."""
    lock = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"https?://", lock)
    for requirement in re.split(r"\n(?=[a-z0-9])", lock.strip()):
        assert "--hash=sha256:" in requirement, requirement.splitlines()[0]


def test_the_package_tree_of_the_drawing_is_the_real_one() -> None:
    """docs/architecture.md names every package there is."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    packages = {path.parent.name for path in (ROOT / "src" / "opentrail").glob("*/__init__.py")}
    for package in packages:
        assert f"`{package}/`" in text, package


@pytest.mark.parametrize("page", ["operations.md", "hardening.md"])
def test_operators_pages_name_commands_that_exist(page: str) -> None:
    """Every ``opentrail COMMAND`` in code is one of ours, and every link leads to a file and a heading."""
    text = (ROOT / "docs" / page).read_text()
    known = {command.name for command in application.registered_commands}
    known |= {group.name for group in application.registered_groups}
    told = set(re.findall(r"(?:`|/bin/|^)opentrail ([a-z]+)", text, re.MULTILINE))
    assert told
    assert told <= known
    for target, _, anchor in (link.partition("#") for link in re.findall(r"\]\(([^)]+)\)", text)):
        linked = ROOT / "docs" / target
        assert linked.exists(), target
        assert not anchor or f"# {anchor}" in linked.read_text().lower(), (target, anchor)


def test_what_a_backup_holds_is_documented() -> None:
    """The files and directories of the manifest's tables are places of HOME that the architecture page lists."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    for name in (*FILES, *TREES):
        top = name.partition("/")[0]
        assert f"`{name}`" in text or f"`{top}/" in text or top == "opentrail.toml", name
