"""What a running archive says on standard error: one line for people, or one JSON object for programs.

A fault is named by its kind and its place. Its text and its trace are left out: they might quote a value of a patient.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

_RED, _PLAIN = "\x1b[1;31m", "\x1b[0m"


class TextLines(logging.Formatter):
    """Lines for people; what needs somebody's attention in red where a terminal shows it."""

    def __init__(self, *, is_coloured: bool) -> None:
        super().__init__()
        self._is_coloured = is_coloured

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a message."""
        text = _said(record) + "".join(
            f" {name}={_quoted(value)}" for name, value in _fields(record)
        )
        if record.levelno < logging.WARNING:
            return f"doorward: {text}"
        line = f"doorward: {record.levelname.lower()}: {text}"
        return f"{_RED}{line}{_PLAIN}" if self._is_coloured else line


class JsonLines(logging.Formatter):
    """One JSON object for each message: time (UTC), level, logger, message, and the fields that it has."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object of a message."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        stated = {
            "time": time,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _said(record),
        }
        return json.dumps(stated | dict(_fields(record)))


def _said(record: logging.LogRecord) -> str:
    """Return the message in one line, with the kind and place of a fault, and nothing that steers a terminal."""
    # asyncio writes further lines about its own objects, texts of exceptions among them.
    text = record.getMessage().partition("\n")[0]
    fault = record.exc_info[1] if record.exc_info else None
    if fault is not None:
        text += f": {type(fault).__name__}{_place(fault)}"
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _fields(record: logging.LogRecord) -> Iterable[tuple[str, str | int]]:
    """Return what a message states by name (``extra={"fields": ...}``)."""
    found: Mapping[str, str | int] = getattr(record, "fields", {})
    return found.items()


def _quoted(value: str | int) -> str:
    text = str(value)
    is_a_word = text.isascii() and text.isprintable() and not set(text) & set(' "=\\')
    return text if text and is_a_word else json.dumps(text)


def _place(fault: BaseException) -> str:
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
