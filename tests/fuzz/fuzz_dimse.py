"""No matter what bytes a peer sends, decode_command returns a Command or raises PeerProtocolError; what it returns survives encode and decode again.

First byte: which limits apply (the high bit); the rest: the command set. Run:
``python tests/fuzz/fuzz_dimse.py -max_total_time=60``. New inputs go to a temporary folder unless one is named; a crash
writes its input into the working folder: put it into corpus/dimse/, where the tests replay it.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus" / "dimse"

if __name__ == "__main__":
    sys.path[:0] = [str(HERE.parent.parent / "src"), str(HERE.parent)]
    import atheris

    with atheris.instrument_imports(include=["doorward"]):
        import doorward.wire.dimse  # noqa: F401 - instrumented for the imports below

from doorward.errors import PeerProtocolError
from doorward.limits import DEFAULT_LIMITS
from doorward.wire.dimse import decode_command, encode_command

TIGHT_LIMITS = replace(DEFAULT_LIMITS, command_set_bytes=128, command_elements=6, uid_bytes=20)


def check(given: bytes) -> bool:
    """Hold the invariant against one input; true where it was a command."""
    if not given:
        return False
    limits = TIGHT_LIMITS if given[0] & 0x80 else DEFAULT_LIMITS
    try:
        command = decode_command(given[1:], limits)
    except PeerProtocolError as error:
        assert error.source.startswith("PS3.") or error.source == "limits"
        assert error.field
        assert str(error).isprintable()
        return False
    assert repr(command).isprintable()
    encoded = encode_command(command)
    assert decode_command(encoded) == command
    assert encode_command(decode_command(encoded)) == encoded
    return True


def main() -> None:
    arguments = sys.argv
    if all(argument.startswith("-") for argument in arguments[1:]):
        arguments = [*arguments, tempfile.mkdtemp(prefix="fuzz_dimse."), str(CORPUS)]
    atheris.Setup(arguments, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
