"""Hashes by which the favicons of products are known: MD5 (recog) and MurmurHash3 of base64 (Shodan)."""

import base64
import hashlib

_MASK = 0xFFFF_FFFF
_C1, _C2 = 0xCC9E_2D51, 0x1B87_3593


def murmur3_32(text: bytes, seed: int = 0) -> int:
    """Return MurmurHash3_x86_32 (A. Appleby, public domain) as a signed number, as Shodan prints it."""
    hashed = seed
    whole = len(text) - len(text) % 4
    for position in range(0, whole, 4):
        hashed ^= _mixed(int.from_bytes(text[position : position + 4], "little"))
        hashed = (_rotated(hashed, 13) * 5 + 0xE654_6B64) & _MASK
    if tail := text[whole:]:
        hashed ^= _mixed(int.from_bytes(tail, "little"))
    hashed ^= len(text)
    for shift, factor in ((16, 0x85EB_CA6B), (13, 0xC2B2_AE35), (16, 1)):
        hashed = ((hashed ^ (hashed >> shift)) * factor) & _MASK
    return hashed - (1 << 32) if hashed >> 31 else hashed


def favicon_murmur(icon: bytes | bytearray) -> int:
    """Return Shodan's ``http.favicon.hash``: base64 in lines of 76 characters, each with its line end."""
    return murmur3_32(base64.encodebytes(icon))


def favicon_md5(icon: bytes | bytearray) -> str:
    """Return the digest that recog lists, in lower-case hexadecimal digits."""
    return hashlib.md5(icon, usedforsecurity=False).hexdigest()


def _rotated(value: int, by: int) -> int:
    return ((value << by) | (value >> (32 - by))) & _MASK


def _mixed(block: int) -> int:
    return _rotated((block * _C1) & _MASK, 15) * _C2 & _MASK
