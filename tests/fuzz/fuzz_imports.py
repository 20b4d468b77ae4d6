"""Any bytes, called another tool's file, are doors that can be asked and rows left out with a reason, or an error that quotes nothing.

The invariant itself is ``import_invariants.check_import``: the tests replay the corpus with it. First byte: format, and gzip from 128 on. Run:
``python tests/fuzz/fuzz_imports.py -max_total_time=60``. New inputs go to a temporary folder unless one is named; a crash
writes its input into the working folder: put it into corpus/imports/.
"""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus" / "imports"


def main() -> None:
    sys.path[:0] = [str(HERE.parent.parent / "src"), str(HERE.parent)]
    import atheris

    with atheris.instrument_imports(include=["doorward"]):
        from import_invariants import check_import

    arguments = sys.argv
    if all(argument.startswith("-") for argument in arguments[1:]):
        arguments = [*arguments, tempfile.mkdtemp(prefix="fuzz_imports."), str(CORPUS)]
    atheris.Setup(arguments, check_import)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
