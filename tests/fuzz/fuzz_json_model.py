"""No matter what is sent as DICOM JSON or shown as such, it is refused or comes back as it went.

The invariant itself is ``model_invariants.check_json_model``: the tests replay the corpus with it. First byte: direction, syntax and limits. Run:
``python tests/fuzz/fuzz_json_model.py -max_total_time=60``. New inputs go to a temporary folder unless one is named; a crash
writes its input into the working folder: put it into corpus/json_model/.
"""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus" / "json_model"


def main() -> None:
    sys.path[:0] = [str(HERE.parent.parent / "src"), str(HERE.parent)]
    import atheris

    with atheris.instrument_imports(include=["doorward"]):
        from model_invariants import check_json_model

    arguments = sys.argv
    if all(argument.startswith("-") for argument in arguments[1:]):
        arguments = [*arguments, tempfile.mkdtemp(prefix="fuzz_json_model."), str(CORPUS)]
    atheris.Setup(arguments, check_json_model)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
