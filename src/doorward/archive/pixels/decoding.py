"""One frame as an array of what is stored, by pydicom and its decoders. Runs in a worker only.

A frame is given alone: native, or as the fragments of one frame joined. What comes back has the shape (rows, columns) or
(rows, columns, samples), in native byte order, with the photometric interpretation that it has now: JPEG 2000 gives RGB for
what its codestream had transformed.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.pixels.encoders.base import get_encoder
from pydicom.pixels.processing import convert_color_space
from pydicom.uid import UID, RLELossless

#: JPEG baseline and extended: lossy, and their YBR is a matter of the codec alone.
_LOSSY_JPEG = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})
#: GDCM ends the process where it meets what it did not expect: it is asked only for what no other one decodes (JPEG lossless),
#: where it is installed.
_LAST = "gdcm"
#: The plugins of pydicom, that one first which is asked first.
_PLUGINS = ("pyjpegls", "pylibjpeg", "pydicom", "pillow", _LAST)
_YBR = frozenset({"YBR_FULL", "YBR_FULL_422"})


class CannotDecode(Exception):
    """No decoder took it, or what came out is not what was announced."""


def decoded(facts: Mapping[str, Any], frame: bytes) -> tuple[np.ndarray[Any, Any], str]:
    """Return a frame and its photometric interpretation. Raises CannotDecode, MemoryError, and whatever decoders raise."""
    if facts["allocated"] == 1 and not facts["is_compressed"]:
        return _bits(facts, frame), facts["photometric"]
    syntax = UID(facts["syntax"])
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise CannotDecode("no decoder knows this transfer syntax") from None
    source = encapsulate([frame], has_bot=False) if facts["is_compressed"] else frame
    if facts["is_compressed"] and _precision(frame) > facts["allocated"]:
        # The decoders would cut them off, and say nothing.
        raise CannotDecode("a pixel has more bits than its data set says")
    array, now = _by_any(decoder, source, _options(facts))
    photometric = str(now.get("photometric_interpretation", facts["photometric"]))
    samples = (facts["samples"],) if facts["samples"] > 1 else ()
    if array.shape != (facts["rows"], facts["columns"], *samples):
        raise CannotDecode("the frame has another size than its data set says")
    if photometric in _YBR and (syntax in _LOSSY_JPEG or photometric == "YBR_FULL_422"):
        return convert_color_space(array, "YBR_FULL", "RGB"), "RGB"
    return array, photometric


def _precision(frame: bytes) -> int:
    """Return the bits of a pixel that a codestream states; 0 where it is none that states any (RLE).

    JPEG, JPEG-LS: the frame header (ITU-T T.81 section B.2.2, T.87 section C.2.2). JPEG 2000: SIZ (T.800 section A.5.1).
    """
    at = frame.find(b"\xff\x4f\xff\x51", 0, 1024)  # a JP2 file may be around it
    if at >= 0:
        return (frame[at + 42] & 0x7F) + 1 if len(frame) > at + 42 else 0
    at = 2
    while frame[:2] == b"\xff\xd8" and at + 5 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            return frame[at + 4]
        at += 1 if marker == 0xFF else 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return 0


def _by_any(
    decoder: Decoder, source: bytes, options: dict[str, Any]
) -> tuple[np.ndarray[Any, Any], Mapping[str, Any]]:
    """Return what the first plugin makes of it that can. Raises whatever the last one raises."""
    known = [name for name in _PLUGINS if name in decoder.available_plugins]
    plugins = [name for name in known if name != _LAST] or known or [""]
    for name in plugins[:-1]:
        # What a plugin cannot do it says in exceptions of all kinds; the next one may.
        with contextlib.suppress(Exception):
            return decoder.as_array(source, index=0, raw=True, decoding_plugin=name, **options)
    return decoder.as_array(source, index=0, raw=True, decoding_plugin=plugins[-1], **options)


def native(array: np.ndarray[Any, Any], allocated: int) -> bytes:
    """Return an array as native pixels are written: little endian, colour by pixel, as many bits as allocated."""
    size = max(8, allocated) // 8
    code = "f" if array.dtype.kind == "f" else "i" if array.dtype.kind == "i" else "u"
    return array.astype(np.dtype(f"<{code}{size}"), copy=False).tobytes()


def run_length_encoded(facts: Mapping[str, Any], frame: bytes) -> bytes:
    """Return a native frame, little endian and coloured by pixel, in RLE Lossless (PS3.5 Annex G)."""
    options = _options({**facts, "planar": 0})
    return bytes(
        get_encoder(RLELossless).encode(frame, index=0, encoding_plugin="pylibjpeg", **options)
    )


def _options(facts: Mapping[str, Any]) -> dict[str, Any]:
    options = {
        "rows": facts["rows"],
        "columns": facts["columns"],
        "number_of_frames": 1,
        "samples_per_pixel": facts["samples"],
        "photometric_interpretation": facts["photometric"],
        "bits_allocated": facts["allocated"],
        "bits_stored": facts["stored"],
        "pixel_keyword": facts["keyword"],
    }
    if facts["keyword"] == "PixelData":
        options["pixel_representation"] = int(facts["is_signed"])
    if facts["samples"] > 1:
        options["planar_configuration"] = facts["planar"]
    if facts["vr"] in ("OB", "OW"):
        options["pixel_vr"] = facts["vr"]
    return options


def _bits(facts: Mapping[str, Any], frame: bytes) -> np.ndarray[Any, Any]:
    """Return a frame of one bit each; it may begin within a byte (PS3.5 section 8.1.1)."""
    count = facts["rows"] * facts["columns"]
    if facts["samples"] != 1:
        raise CannotDecode("one bit is no colour")
    bits = np.unpackbits(np.frombuffer(frame, np.uint8), bitorder="little")
    chosen = bits[facts["bit"] : facts["bit"] + count]
    return chosen.reshape(facts["rows"], facts["columns"])
