"""What holds for any bytes that somebody calls another tool's file, or an answer of a ledger or a sensor.

Used by the fuzz harnesses and by the tests that replay what they found.
"""

import gzip
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from doorward.audit.codec import attempt_from_json, attempt_to_json
from doorward.audit.imports.fields import host
from doorward.audit.imports.reader import formats, read
from doorward.audit.imports.sighting import ImportOptions, Sighting, Skipped
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS

#: Small, so that every bound is met by small files.
_LIMITS = replace(
    DEFAULT_LIMITS,
    import_record_bytes=4_096,
    import_head_bytes=2_048,
    import_inflated_bytes=65_536,
    import_columns=64,
    import_xml_names=64,
    import_bad_rows=10,
)
_FORMATS = (None, *formats())
_SECONDS = 5.0


def check_import(data: bytes) -> None:
    """Bytes are sightings that could be asked and skipped rows, or end in a ConfigError that quotes nothing of a stranger.

    The first byte chooses the format (or none: by content), and whether the rest is gzip.
    """
    if not data:
        return
    format_name = _FORMATS[data[0] % len(_FORMATS)]
    content = data[1:]
    if data[0] >= 128:
        content = gzip.compress(content, compresslevel=1, mtime=0)
    begun = time.monotonic()
    with tempfile.NamedTemporaryFile(dir=_folder()) as file:
        file.write(content)
        file.flush()
        said = ""
        try:
            for item in read(Path(file.name), format_name, ImportOptions(port=104, limits=_LIMITS)):
                check_item(item)
        except ConfigError as error:
            said = str(error)
    assert not said or said.isprintable(), "an error is one line"
    assert time.monotonic() - begun < _SECONDS, "a small file takes little time"


def check_item(item: object) -> None:
    """One item of an import is a row that was left out, with its reason, or a door that can be asked."""
    if isinstance(item, Skipped):
        assert item.reason.isprintable()
        return
    assert isinstance(item, Sighting)
    assert host(item.host, "host") == item.host
    assert item.port is None or 0 < item.port < 65_536
    words = (item.place.site, item.place.owner, item.place.contact, item.place.network_operator)
    for text in (*words, item.called_ae_title, item.calling_ae_title):
        assert text.isprintable(), "nothing that steers a terminal"
        assert len(text) <= _LIMITS.import_text_chars
    assert item.place.country == "" or len(item.place.country) == 2


def check_answer(data: bytes) -> None:
    """Bytes are an answer that comes back from its own text, or a ConfigError that quotes none of it."""
    said = ""
    try:
        made = attempt_from_json(data, file=Path("a.ledger"))
    except ConfigError as error:
        said = str(error)
    if said:
        assert said.isprintable(), "an error is one line"
        return
    assert attempt_from_json(attempt_to_json(made)) == made


def _folder() -> str | None:
    memory = Path("/dev/shm")  # thousands of files a second
    return str(memory) if memory.is_dir() else None
