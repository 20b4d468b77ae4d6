"""No matter how a file begins, read_file_meta returns what lies inside it or raises PeerProtocolError or LimitExceeded.

The invariant itself is ``data_set_invariants.check_part10``: the tests replay the corpus with it. First byte: what stands before the bytes, and limits. Run:
``python tests/fuzz/fuzz_part10.py -max_total_time=60``. New inputs go to a temporary folder unless one is named; a crash
writes its input into the working folder: put it into corpus/part10/.
"""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus" / "part10"


def main() -> None:
    sys.path[:0] = [str(HERE.parent.parent / "src"), str(HERE.parent)]
    import atheris

    with atheris.instrument_imports(include=["doorward"]):
        from data_set_invariants import check_part10

    arguments = sys.argv
    if all(argument.startswith("-") for argument in arguments[1:]):
        arguments = [*arguments, tempfile.mkdtemp(prefix="fuzz_part10."), str(CORPUS)]
    atheris.Setup(arguments, check_part10)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
