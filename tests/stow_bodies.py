"""Bodies of STOW requests for tests: DICOM files of synthetic instances, and parts around them."""

from collections.abc import Iterable, Mapping
from typing import Any

from archives import instance
from doorward.dicom.part10 import write_file_meta
from doorward.net.transfer import Instance

BOUNDARY = "0f3cf5c0-70e0-41ef"
MULTIPART = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
#: The implementation that another program would name.
OTHER = "2.25.77"


def file_of(one: Instance, *, preamble: bytes = bytes(128), version: str = "OTHER") -> bytes:
    """Return an instance as another program would write it."""
    head = write_file_meta(
        transfer_syntax_uid=one.transfer_syntax_uid,
        media_storage_sop_class_uid=one.sop_class_uid,
        media_storage_sop_instance_uid=one.sop_instance_uid,
        implementation_class_uid=OTHER,
        implementation_version_name=version,
    )
    return preamble + head[128:] + one.data_set


def file(uid: str, pixels: bytes = b"\0\0", **changes: str) -> bytes:
    """Return the file of a CT image, like ``archives.instance``."""
    return file_of(instance(uid, pixels, **changes))


def part(body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """Return one part with the boundary before it."""
    given = {"Content-Type": "application/dicom"} if headers is None else headers
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"--{BOUNDARY}\r\n{lines}\r\n".encode("latin-1") + body + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def multipart(files: Iterable[bytes]) -> bytes:
    """Return a whole body."""
    return b"".join(map(part, files)) + END


def post(site: Any, body: Any, *, study: str = "", who: str = "ct1", **headers: str) -> Any:
    """Send a body and return the answer; underscores in header names become hyphens."""
    named = {"Content-Type": MULTIPART} | {k.replace("_", "-"): v for k, v in headers.items()}
    path = f"/dicom-web/studies{f'/{study}' if study else ''}"
    return site.request("POST", path, who=who, body=body, headers=named)


def items(answer: Any, tag: str) -> list[dict[str, Any]]:
    """Return the items of a sequence of an answer, as {tag: value}."""
    found = answer.json().get(tag, {}).get("Value", [])
    return [{name: element["Value"][0] for name, element in item.items()} for item in found]
