"""JSON fed in pieces is read as json reads it whole, or refused; the counters never raise and cutting changes nothing.

The invariant itself is ``web_invariants.check_json_stream``: the tests replay the corpus with it. First byte: size of chunks. Run:
``python tests/fuzz/fuzz_json_stream.py -max_total_time=60``. New inputs go to a temporary folder unless one is named; a crash
writes its input into the working folder: put it into corpus/json_stream/.
"""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus" / "json_stream"


def main() -> None:
    sys.path[:0] = [str(HERE.parent.parent / "src"), str(HERE.parent)]
    import atheris

    with atheris.instrument_imports(include=["doorward"]):
        from web_invariants import check_json_stream

    arguments = sys.argv
    if all(argument.startswith("-") for argument in arguments[1:]):
        arguments = [*arguments, tempfile.mkdtemp(prefix="fuzz_json_stream."), str(CORPUS)]
    atheris.Setup(arguments, check_json_stream)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
