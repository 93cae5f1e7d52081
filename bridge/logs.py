"""How the bridge logs: a constant sentence, its facts as fields; text for people, or JSON a line.

Set up once by `main`. Tokens, environments and scripts are never handed to a logger.
"""

import json
import logging
import sys
import time
from typing import Any, TextIO

_OWN_FIELDS = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = "".join(f" {name}={_shown(value)}" for name, value in _fields(record).items())
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(record.created))
        line = f"{at}.{int(record.msecs):03d} {record.levelname.lower()} {record.name}: {_one_line(record)}{facts}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "at": record.created,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in record.__dict__.items() if name not in _OWN_FIELDS}


def _one_line(record: logging.LogRecord) -> str:
    return record.getMessage().replace("\n", "\\n")


def _shown(value: object) -> str:
    """Quoted where it has blanks or could forge a line."""
    text = str(value)
    return text if text.isascii() and text.isprintable() and " " not in text and text else json.dumps(text)


def set_up(level: str, *, as_json: bool, stream: TextIO | None = None) -> None:
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("uvicorn", "asyncio", "alembic"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
