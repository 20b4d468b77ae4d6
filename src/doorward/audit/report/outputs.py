"""Where reports go: formats, files and standard output.

A file appears whole or not at all (written aside, synced, renamed), readable by its owner only: a report tells strangers
where to go. At most one report may go to standard output, so that what is piped stays one document.
"""

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from doorward.audit.report.model import Report
from doorward.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One report to write: ``file`` is None for standard output."""

    format: str
    file: Path | None


def report_json(report: Report) -> str:
    """Return the report as ``doorward.report/1``; the same report gives the same bytes."""
    return report.model_dump_json(by_alias=True, indent=2) + "\n"


def _html(report: Report) -> str:
    from doorward.audit.report.html import report_html  # jinja2 only where it is asked for

    return report_html(report)


def _text(report: Report) -> str:
    from doorward.audit.report.terminal import report_text

    return report_text(report, verbose=True)


#: Every format that ``--output`` knows.
FORMATS: Mapping[str, Callable[[Report], str]] = {
    "json": report_json,
    "html": _html,
    "text": _text,
}


def parse_output(text: str) -> Output:
    """Return the output that ``FORMAT=FILE`` describes ("-" is standard output); raise ConfigError."""
    name, equals, file = text.partition("=")
    if not equals or not file:
        hint = "Write FORMAT=FILE, such as json=report.json."
        raise ConfigError(f"--output {text!r} names no file", hint=hint)
    return output(name, file)


def output(name: str, file: str) -> Output:
    """Return one output; raise ConfigError for a format that does not exist."""
    if name not in FORMATS:
        known = ", ".join(FORMATS)
        raise ConfigError(f"there is no report format {name!r}", hint=f"Formats: {known}.")
    return Output(format=name, file=None if file == "-" else Path(file))


def check_outputs(outputs: Sequence[Output]) -> None:
    """Raise ConfigError, before anything is audited, when a report could not be written in the end."""
    if sum(o.file is None for o in outputs) > 1:
        message = "two reports cannot both go to standard output"
        raise ConfigError(message, hint="Write one of them to a file.")
    files = [o.file.resolve() for o in outputs if o.file is not None]
    for file in files:
        if files.count(file) > 1:
            raise ConfigError("is named for two reports", file=file)
        if file.is_dir():
            raise ConfigError("is a directory, a report needs a file", file=file)
        if not file.parent.is_dir():
            raise ConfigError("cannot be written: its directory does not exist", file=file)
        if not os.access(file.parent if _is_replaceable(file) else file, os.W_OK):
            raise ConfigError("cannot be written: permission denied", file=file)


def write_file(file: Path, text: str) -> None:
    """Write a whole file or none (rename is atomic); raise ConfigError."""
    write_parts(file, (text,))


def write_parts(file: Path, parts: Iterable[str]) -> None:
    """Write a file, or none, from texts that are taken one after the other; raise ConfigError.

    What the iterator raises goes to the caller, and the file is left as it was.
    """
    file = file.resolve()
    try:
        if _is_replaceable(file):
            _replace(file, parts)
        else:
            with file.open("w", encoding="utf-8") as stream:
                stream.writelines(parts)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(f"cannot be written ({reason})", file=file) from None


def _is_replaceable(file: Path) -> bool:
    """A device or a pipe (/dev/null, a shell's process substitution) is written to, never replaced."""
    return file.is_file() or not file.exists()


def _replace(file: Path, parts: Iterable[str]) -> None:
    # mkstemp gives mode 0600: the report is for whoever ran the audit.
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    aside = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.writelines(parts)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(file)
    finally:
        aside.unlink(missing_ok=True)
