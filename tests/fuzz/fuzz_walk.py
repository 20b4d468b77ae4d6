"""No matter what bytes are walked, the walk ends inside the buffer and its limits or raises PeerProtocolError or LimitExceeded, and the searches see the same.

The invariant itself is ``data_set_invariants.check_walk``: the tests replay the corpus with it. First byte: syntax and limits. Run:
``python tests/fuzz/fuzz_walk.py -max_total_time=60``. New inputs go to a temporary folder unless one is named; a crash
writes its input into the working folder: put it into corpus/walk/.
"""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus" / "walk"


def main() -> None:
    sys.path[:0] = [str(HERE.parent.parent / "src"), str(HERE.parent)]
    import atheris

    with atheris.instrument_imports(include=["doorward"]):
        from data_set_invariants import check_walk

    arguments = sys.argv
    if all(argument.startswith("-") for argument in arguments[1:]):
        arguments = [*arguments, tempfile.mkdtemp(prefix="fuzz_walk."), str(CORPUS)]
    atheris.Setup(arguments, check_walk)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
