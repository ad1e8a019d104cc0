"""From a TOML file and the environment to settings.

Rules. Unknown names are errors, and all problems are told at once. An environment variable is
``OPENTRAIL_SECTION_NAME`` and stands above the file; ``OPENTRAIL_UPSTREAM_S3_ENDPOINT`` is ``endpoint`` of
``[upstream.s3]``, whether the file has that section or not. No message shows a value that was meant to be secret:
settings hold paths of secrets, never secrets.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_type_hints

from opentrail.config.rules import contradictions
from opentrail.config.settings import ARCHIVE, SECTIONS, UPSTREAM_SECTION, Settings, UpstreamSettings
from opentrail.errors import ConfigError

_BOOLEANS = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}
_ENVIRONMENT_PREFIX = "OPENTRAIL_"
_UPSTREAM_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_DEFAULT_UPSTREAM = "default"

Given = dict[tuple[str, str], Any]
"""(section, name) to the value that was given."""


def load(path: Path | None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read a configuration file (None or absent: defaults only) and the environment.

    Raises ConfigError with every problem found.
    """
    problems: list[str] = []
    given = _flatten(_read(path), problems) if path is not None else {}
    given.update(_from_environment(environment, problems))
    sections = {name: _section(name, kind, given, problems) for name, kind in SECTIONS.items()}
    upstreams = _upstreams(given, problems)
    problems += [f"{section}.{name} is not a setting" for section, name in given]
    settings = Settings(**sections, upstreams=MappingProxyType(upstreams))
    problems += contradictions(settings)
    if problems:
        raise ConfigError(problems)
    return settings


def words(text: str) -> list[str]:
    """The parts of a setting that holds several, separated by commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError as problem:
        raise ConfigError(f"{path} does not exist") from problem
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise ConfigError(f"{path}: {problem}") from problem


def _flatten(document: Mapping[str, Any], problems: list[str]) -> Given:
    """TOML tables to (section, name) -> value; ``[upstream.NAME]`` are the sections with two words."""
    flat: Given = {}
    tables = {name: table for name, table in document.items() if name != "upstream"}
    unknown = sorted(name for name in tables if name not in SECTIONS)
    problems += [f"[{name}] is not a section" for name in unknown]
    upstreams = document.get("upstream", {})
    if not isinstance(upstreams, dict):
        problems.append("upstream must be a table of tables, such as [upstream.s3]")
        upstreams = {}
    for name in upstreams:
        if not _UPSTREAM_NAME.fullmatch(name):
            problems.append(f"[upstream.{name}]: a name has lower-case letters, digits, `-` and `_`, 32 at most")
    tables |= {f"{UPSTREAM_SECTION}.{name}": table for name, table in upstreams.items()}
    for section, table in tables.items():
        if section in unknown:
            continue
        if not isinstance(table, dict):
            problems.append(f"{section} must be a table")
        else:
            flat |= {(section, name): value for name, value in table.items()}
    return flat


def _from_environment(environment: Mapping[str, str], problems: list[str]) -> Given:
    found: Given = {}
    for variable, value in sorted(environment.items()):
        text = variable.removeprefix(_ENVIRONMENT_PREFIX).lower()
        if text == variable.lower():
            continue
        if text.startswith(f"{UPSTREAM_SECTION}_"):
            section, name = _upstream_variable(text.removeprefix(f"{UPSTREAM_SECTION}_"))
        else:
            section = next((name for name in SECTIONS if text.startswith(f"{name}_")), "")
            name = text.removeprefix(f"{section}_") if section else ""
        if not section:
            continue  # OPENTRAIL_HOME and the like
        kind = UpstreamSettings if section.startswith(UPSTREAM_SECTION) else SECTIONS[section]
        if name in {item.name for item in fields(kind)}:
            found[section, name] = value
        else:
            problems.append(f"{variable}: {section}.{name} is not a setting")
    return found


def _upstream_variable(text: str) -> tuple[str, str]:
    """``s3_read_timeout_s`` is ``read_timeout_s`` of ``upstream.s3``."""
    for item in fields(UpstreamSettings):
        if text.endswith(f"_{item.name}") and _UPSTREAM_NAME.fullmatch(text.removesuffix(f"_{item.name}")):
            return f"{UPSTREAM_SECTION}.{text.removesuffix(f'_{item.name}')}", item.name
    name, _, rest = text.partition("_")
    return f"{UPSTREAM_SECTION}.{name}", rest


def _upstreams(given: Given, problems: list[str]) -> dict[str, UpstreamSettings]:
    """Every ``[upstream.NAME]``, in the order given; what says no services is about the one that it is called after."""
    names = dict.fromkeys(section for section, _ in given if section.startswith(f"{UPSTREAM_SECTION}."))
    found: dict[str, UpstreamSettings] = {}
    for section in names:
        name = section.partition(".")[2]
        settings: UpstreamSettings = _section(section, UpstreamSettings, given, problems)
        implied = {_DEFAULT_UPSTREAM: ("*",), ARCHIVE: ()}.get(name, (name,))
        found[name] = replace(settings, services=settings.services or implied)
    return found


def _section(section: str, kind: type[Any], given: Given, problems: list[str]) -> Any:
    types = get_type_hints(kind)
    values = {}
    for item in fields(kind):
        value = given.pop((section, item.name), MISSING)
        if value is MISSING:
            continue
        try:
            values[item.name] = _converted(value, types[item.name])
        except ValueError:
            problems.append(f"{section}.{item.name} must be {_described(types[item.name])}, not {value!r}")
    return kind(**values)


def _converted(value: Any, kind: Any) -> Any:
    """A TOML value, or an environment variable's text, as the setting's type. Raises ValueError."""
    if kind not in (bool, str, int, float):
        return _texts(value)
    fits = {bool: (bool, str), str: (str,), int: (int, str), float: (int, float, str)}[kind]
    if not isinstance(value, fits) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(value)
    if kind is bool and isinstance(value, str):
        if value.lower() not in _BOOLEANS:
            raise ValueError(value)
        return _BOOLEANS[value.lower()]
    return kind(value)


def _texts(value: Any) -> tuple[str, ...]:
    """Several texts: an array of TOML's, or words separated by commas. Raises ValueError."""
    if isinstance(value, str):
        return tuple(words(value))
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(value)
    return tuple(value)


def _described(kind: Any) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return names.get(kind, "an array of texts")
