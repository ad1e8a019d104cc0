"""Our own log, on standard error: text for people or JSON lines for programs, with request ids."""

import logging
import sys
from datetime import UTC, datetime

import orjson


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        stamp = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        request = getattr(record, "requestID", None)
        line = f"{stamp}Z {record.levelname.lower():7} {record.name}: {_one_line(record.getMessage())}"
        line += f" requestID={request}" if request else ""
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if hasattr(record, "requestID"):
            line["requestID"] = record.requestID
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return orjson.dumps(line).decode()


def configure_logging(level: str, style: str) -> None:
    """Send everything of that level and above to standard error; style is ``text`` or ``json``."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if style == "json" else _Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_level(level)


def set_level(level: str) -> None:
    """Send everything of that level and above from now on; libraries that talk much only warnings."""
    root = logging.getLogger()
    root.setLevel(level.upper())
    for chatty in ("botocore", "boto3", "urllib3", "s3transfer", "aiohttp", "asyncio", "uvicorn"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))


def _one_line(text: str) -> str:
    """Callers choose parts of what we log; they must not be able to forge lines or control a terminal."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
