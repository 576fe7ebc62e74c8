"""Snakemake logger plugin of triptych: every event of a run as one JSON line, for ``triptych run`` and ``status``.

The file is named by the environment variable TRIPTYCH_EVENTS; without it the plugin writes nothing.
"""

import json
import os
import time
from logging import LogRecord
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase

KEPT = (
    "jobid",
    "job_id",
    "rule_name",
    "wildcards",
    "done",
    "total",
    "reason",
    "threads",
    "log",
    "exception",
    "stats",
    "jobs",
)


class LogHandler(LogHandlerBase):
    """Appends to the events file."""

    def __post_init__(self) -> None:
        path = os.environ.get("TRIPTYCH_EVENTS")
        self._file = open(path, "a", buffering=1, encoding="utf-8") if path else None  # noqa: SIM115 - open as long as the run

    def emit(self, record: LogRecord) -> None:
        """Write one event."""
        if self._file is None:
            return
        event = getattr(record, "event", None)
        content: dict[str, Any] = {
            "time": round(time.time(), 3),
            "level": record.levelname,
            "event": getattr(event, "value", None) or "message",
        }
        for name in KEPT:
            value = getattr(record, name, None)
            if value is not None:
                content[name] = _plain(value)
        content["message"] = record.getMessage()
        self._file.write(json.dumps(content) + "\n")

    @property
    def writes_to_stream(self) -> bool:
        """Nothing goes to the terminal: the driver speaks there."""
        return False

    @property
    def writes_to_file(self) -> bool:
        """Events go to the events file, which the plugin opens itself."""
        return False

    @property
    def has_filter(self) -> bool:
        """Every record is wanted."""
        return True

    @property
    def has_formatter(self) -> bool:
        """Records are written as JSON."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """The graph is not wanted."""
        return False


def _plain(value: Any) -> Any:
    if isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(entry) for entry in value]
    return str(value)
