"""No matter what bytes a value has, text comes out of it, and numbers and UIDs are refused with PeerProtocolError or LimitExceeded or survive encoding.

The invariant itself is ``data_set_invariants.check_values``: the tests replay the corpus with it. First two bytes: syntax and VR. Run:
``python tests/fuzz/fuzz_values.py -max_total_time=60``. New inputs go to a temporary folder unless one is named; a crash
writes its input into the working folder: put it into corpus/values/.
"""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus" / "values"


def main() -> None:
    sys.path[:0] = [str(HERE.parent.parent / "src"), str(HERE.parent)]
    import atheris

    with atheris.instrument_imports(include=["doorward"]):
        from data_set_invariants import check_values

    arguments = sys.argv
    if all(argument.startswith("-") for argument in arguments[1:]):
        arguments = [*arguments, tempfile.mkdtemp(prefix="fuzz_values."), str(CORPUS)]
    atheris.Setup(arguments, check_values)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
