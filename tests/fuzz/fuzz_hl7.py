"""No matter what bytes come back over HL7 or FTP, cutting them elsewhere changes nothing, and a conversation ends with a result or an error of ours.

The invariant itself is ``file_invariants.check_hl7``: the tests replay the corpus with it. First two bytes: reader and cut. Run:
``python tests/fuzz/fuzz_hl7.py -max_total_time=60``. New inputs go to a temporary folder unless one is named; a crash
writes its input into the working folder: put it into corpus/hl7/.
"""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus" / "hl7"


def main() -> None:
    sys.path[:0] = [str(HERE.parent.parent / "src"), str(HERE.parent)]
    import atheris

    with atheris.instrument_imports(include=["doorward"]):
        from file_invariants import check_hl7

    arguments = sys.argv
    if all(argument.startswith("-") for argument in arguments[1:]):
        arguments = [*arguments, tempfile.mkdtemp(prefix="fuzz_hl7."), str(CORPUS)]
    atheris.Setup(arguments, check_hl7)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
