"""No matter what bytes a list of files, a WebDAV or a FHIR answer has, cutting it elsewhere changes nothing, no reader raises, and nothing of it stays.

The invariant itself is ``file_invariants.check_listing``: the tests replay the corpus with it. First two bytes: reader and cut. Run:
``python tests/fuzz/fuzz_listing.py -max_total_time=60``. New inputs go to a temporary folder unless one is named; a crash
writes its input into the working folder: put it into corpus/listing/.
"""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus" / "listing"


def main() -> None:
    sys.path[:0] = [str(HERE.parent.parent / "src"), str(HERE.parent)]
    import atheris

    with atheris.instrument_imports(include=["doorward"]):
        from file_invariants import check_listing

    arguments = sys.argv
    if all(argument.startswith("-") for argument in arguments[1:]):
        arguments = [*arguments, tempfile.mkdtemp(prefix="fuzz_listing."), str(CORPUS)]
    atheris.Setup(arguments, check_listing)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
