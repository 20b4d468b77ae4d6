"""No matter how a multipart body is made and cut, its parts are the same, or PeerProtocolError or LimitExceeded ends it at the same place.

The invariant itself is ``multipart_invariants.check_multipart``: the tests replay the corpus with it. First byte: limits, and how the body is cut. Run:
``python tests/fuzz/fuzz_multipart.py -max_total_time=60``. New inputs go to a temporary folder unless one is named; a crash
writes its input into the working folder: put it into corpus/multipart/.
"""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus" / "multipart"


def main() -> None:
    sys.path[:0] = [str(HERE.parent.parent / "src"), str(HERE.parent)]
    import atheris

    with atheris.instrument_imports(include=["doorward"]):
        from multipart_invariants import check_multipart

    arguments = sys.argv
    if all(argument.startswith("-") for argument in arguments[1:]):
        arguments = [*arguments, tempfile.mkdtemp(prefix="fuzz_multipart."), str(CORPUS)]
    atheris.Setup(arguments, check_multipart)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
