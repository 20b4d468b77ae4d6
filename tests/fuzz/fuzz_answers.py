"""Any bytes, called an answer of a ledger or a sensor, are one that comes back from its own text, or an error that quotes nothing.

The invariant itself is ``import_invariants.check_answer``: the tests replay the corpus with it. Run:
``python tests/fuzz/fuzz_answers.py -max_total_time=60``. New inputs go to a temporary folder unless one is named; a crash
writes its input into the working folder: put it into corpus/answers/.
"""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus" / "answers"


def main() -> None:
    sys.path[:0] = [str(HERE.parent.parent / "src"), str(HERE.parent)]
    import atheris

    with atheris.instrument_imports(include=["doorward"]):
        from import_invariants import check_answer

    arguments = sys.argv
    if all(argument.startswith("-") for argument in arguments[1:]):
        arguments = [*arguments, tempfile.mkdtemp(prefix="fuzz_answers."), str(CORPUS)]
    atheris.Setup(arguments, check_answer)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
