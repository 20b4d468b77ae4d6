"""No matter what is inflated, the output stays below both bounds, or PeerProtocolError or LimitExceeded is raised; chunking changes nothing.

The invariant itself is ``data_set_invariants.check_inflate``: the tests replay the corpus with it. First byte: limits and size of chunks. Run:
``python tests/fuzz/fuzz_inflate.py -max_total_time=60``. New inputs go to a temporary folder unless one is named; a crash
writes its input into the working folder: put it into corpus/inflate/.
"""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus" / "inflate"


def main() -> None:
    sys.path[:0] = [str(HERE.parent.parent / "src"), str(HERE.parent)]
    import atheris

    with atheris.instrument_imports(include=["doorward"]):
        from data_set_invariants import check_inflate

    arguments = sys.argv
    if all(argument.startswith("-") for argument in arguments[1:]):
        arguments = [*arguments, tempfile.mkdtemp(prefix="fuzz_inflate."), str(CORPUS)]
    atheris.Setup(arguments, check_inflate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
