"""No matter what bytes a peer sends, decode_pdu returns a Pdu or raises PeerProtocolError; what it returns survives encode and decode again.

The invariant itself is ``pdus.check_decoding``: the tests replay the corpus with it. First byte: PDU type (the low four
bits) and which limits apply (the high bit); the rest: the body behind the six header bytes. Run:
``python tests/fuzz/fuzz_decode.py -max_total_time=60``. New inputs go to a temporary folder unless one is named; a crash
writes its input into the working folder: put it into corpus/decode/.
"""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus" / "decode"


def main() -> None:
    sys.path[:0] = [str(HERE.parent.parent / "src"), str(HERE.parent)]
    import atheris

    with atheris.instrument_imports(include=["doorward"]):
        from pdus import check_decoding

    arguments = sys.argv
    if all(argument.startswith("-") for argument in arguments[1:]):
        arguments = [*arguments, tempfile.mkdtemp(prefix="fuzz_decode."), str(CORPUS)]
    atheris.Setup(arguments, check_decoding)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
