"""DICOM files: preamble, File Meta Information, and how to read the data set behind them (PS3.10 section 7).

Theory of operation. ``read_file_meta`` looks at the beginning of a file and says where the data set begins and how it is
written; it needs no more of the file, and stops at ``limits.preamble_meta_bytes``. It is tolerant where files in use are
faulty: no preamble, no group length or a wrong one (the next group ends the meta information), an absent element, no meta
information at all (every field is "" then). ``write_file_meta`` writes what the Standard asks for and nothing more.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from doorward.dicom.values import Attribute, decode_strings, decode_uid, encode_identifier
from doorward.dicom.walk import UNDEFINED, Buffer, Syntax, name_of, walk
from doorward.errors import LimitExceeded, LocalProtocolError, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS, Limits

PREAMBLE_BYTES = 128
PREFIX = b"DICM"
_SOURCE = "PS3.10 section 7.1"

_GROUP_LENGTH = 0x00020000
_VERSION = 0x00020001
_MEDIA_STORAGE_SOP_CLASS_UID = 0x00020002
_MEDIA_STORAGE_SOP_INSTANCE_UID = 0x00020003
_TRANSFER_SYNTAX_UID = 0x00020010
_IMPLEMENTATION_CLASS_UID = 0x00020012
_IMPLEMENTATION_VERSION_NAME = 0x00020013
#: Number 0002, little endian: how each element of the meta information begins.
_META_GROUP = b"\x02\x00"

#: Transfer syntaxes whose headers are not explicit VR little endian (PS3.5 sections A.1 and A.3).
_OTHER_SYNTAXES = {
    "1.2.840.10008.1.2": Syntax.IMPLICIT_LITTLE,
    "1.2.840.10008.1.2.2": Syntax.EXPLICIT_BIG,
}
#: Deflated explicit VR little endian, JPIP referenced deflate, JPIP HTJ2K referenced deflate (PS3.5 A.5, A.7, A.10).
_DEFLATED = frozenset(
    {"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMeta:
    """File Meta Information (PS3.10 Table 7.1-1). Text is "" where the element is absent or empty."""

    transfer_syntax_uid: str = ""
    media_storage_sop_class_uid: str = ""
    media_storage_sop_instance_uid: str = ""
    implementation_class_uid: str = ""
    implementation_version_name: str = ""
    #: bytes from the beginning of the file to the data set
    data_set_offset: int = 0


def syntax_of(transfer_syntax_uid: str) -> Syntax:
    """Return how headers are written in a transfer syntax, once it is inflated.

    All but two, known or not, are explicit VR little endian (PS3.5 section 10.1 and Annex A).
    """
    return _OTHER_SYNTAXES.get(transfer_syntax_uid, Syntax.EXPLICIT_LITTLE)


def is_deflated(transfer_syntax_uid: str) -> bool:
    """Whether the data set has to go through ``inflate`` before it can be walked (PS3.5 section A.5)."""
    return transfer_syntax_uid in _DEFLATED


def read_file_meta(buffer: Buffer, limits: Limits = DEFAULT_LIMITS) -> FileMeta:
    """Return the File Meta Information at the beginning of a file.

    The buffer may end anywhere behind it. Raises PeerProtocolError where an element is malformed, cut off or comes twice,
    and LimitExceeded (``preamble_meta_bytes``, ``uid_bytes``).
    """
    start = _meta_offset(buffer)
    found: dict[int, bytes] = {}
    end = start
    for tag, value, end in _meta_elements(buffer, start, limits):  # noqa: B007 - the last end is used
        if tag in found:
            raise PeerProtocolError("it occurs more than once", field=name_of(tag), source=_SOURCE)
        found[tag] = value

    def uid(tag: int) -> str:
        return decode_uid(found.get(tag, b""), tag, limits)

    version_name = decode_strings(found.get(_IMPLEMENTATION_VERSION_NAME, b""), "SH")
    return FileMeta(
        transfer_syntax_uid=uid(_TRANSFER_SYNTAX_UID),
        media_storage_sop_class_uid=uid(_MEDIA_STORAGE_SOP_CLASS_UID),
        media_storage_sop_instance_uid=uid(_MEDIA_STORAGE_SOP_INSTANCE_UID),
        implementation_class_uid=uid(_IMPLEMENTATION_CLASS_UID),
        implementation_version_name=version_name[0] if version_name else "",
        data_set_offset=end,
    )


def _meta_offset(buffer: Buffer) -> int:
    """Return where group 0002 should begin: behind the prefix, if there is one."""
    if bytes(buffer[PREAMBLE_BYTES : PREAMBLE_BYTES + 4]) == PREFIX:
        return PREAMBLE_BYTES + 4
    return 4 if bytes(buffer[:4]) == PREFIX else 0


def _meta_elements(buffer: Buffer, start: int, limits: Limits) -> Iterator[tuple[int, bytes, int]]:
    """Yield tag, value and end of each element of group 0002."""
    view = memoryview(buffer)[start:]
    elements = walk(view, Syntax.EXPLICIT_LITTLE, limits)
    position = 0
    # The data set behind may be in another syntax: the walker must not see it.
    while view[position : position + 2] == _META_GROUP:
        tag, vr, offset, length, _ = next(elements)
        if length == UNDEFINED or vr == "SQ":
            raise PeerProtocolError("a sequence", field=name_of(tag), source=_SOURCE)
        position = offset + length
        end = start + position
        if end > limits.preamble_meta_bytes:
            raise LimitExceeded(
                limit="preamble_meta_bytes", value=limits.preamble_meta_bytes, seen=end
            )
        yield tag, bytes(view[offset:position]), end


def write_file_meta(
    *,
    transfer_syntax_uid: str,
    media_storage_sop_class_uid: str,
    media_storage_sop_instance_uid: str,
    implementation_class_uid: str,
    implementation_version_name: str = "",
) -> bytes:
    """Return preamble, prefix and File Meta Information; the data set follows right behind.

    Raises LocalProtocolError for a UID that is none, or is missing.
    """
    uids = {
        _MEDIA_STORAGE_SOP_CLASS_UID: media_storage_sop_class_uid,
        _MEDIA_STORAGE_SOP_INSTANCE_UID: media_storage_sop_instance_uid,
        _TRANSFER_SYNTAX_UID: transfer_syntax_uid,
        _IMPLEMENTATION_CLASS_UID: implementation_class_uid,
    }
    missing = [name_of(tag) for tag, uid in uids.items() if not uid]
    if missing:
        raise LocalProtocolError(f"a file needs a value of {', '.join(missing)}")
    elements: list[Attribute] = [(tag, "UI", uid) for tag, uid in uids.items()]
    elements.append((_VERSION, "OB", b"\x00\x01"))
    if implementation_version_name:
        elements.append((_IMPLEMENTATION_VERSION_NAME, "SH", implementation_version_name))
    group = encode_identifier(elements, Syntax.EXPLICIT_LITTLE)
    length = encode_identifier([(_GROUP_LENGTH, "UL", len(group))], Syntax.EXPLICIT_LITTLE)
    return b"\x00" * PREAMBLE_BYTES + PREFIX + length + group
