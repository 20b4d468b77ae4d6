"""No matter what a server sends, FlightReader never raises, holds no more than its bounds, and does not care how the bytes are cut.

The invariant itself is ``tls_bytes.check_flight``: the tests replay the corpus with it. First byte: limits and the size of pieces. Run:
``python tests/fuzz/fuzz_tls_records.py -max_total_time=60``. New inputs go to a temporary folder unless one is named; a crash
writes its input into the working folder: put it into corpus/tls_records/.
"""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus" / "tls_records"


def main() -> None:
    sys.path[:0] = [str(HERE.parent.parent / "src"), str(HERE.parent)]
    import atheris

    with atheris.instrument_imports(include=["doorward"]):
        from tls_bytes import check_flight

    arguments = sys.argv
    if all(argument.startswith("-") for argument in arguments[1:]):
        arguments = [*arguments, tempfile.mkdtemp(prefix="fuzz_tls_records."), str(CORPUS)]
    atheris.Setup(arguments, check_flight)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
