"""No matter what an identifier says, parse_query makes a query of it or raises PeerProtocolError or LimitExceeded; matching never fails.

The invariant itself is ``model_invariants.check_query``: the tests replay the corpus with it. First byte: syntax, limits and rules. Run:
``python tests/fuzz/fuzz_query.py -max_total_time=60``. New inputs go to a temporary folder unless one is named; a crash
writes its input into the working folder: put it into corpus/query/.
"""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus" / "query"


def main() -> None:
    sys.path[:0] = [str(HERE.parent.parent / "src"), str(HERE.parent)]
    import atheris

    with atheris.instrument_imports(include=["doorward"]):
        from model_invariants import check_query

    arguments = sys.argv
    if all(argument.startswith("-") for argument in arguments[1:]):
        arguments = [*arguments, tempfile.mkdtemp(prefix="fuzz_query."), str(CORPUS)]
    atheris.Setup(arguments, check_query)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
