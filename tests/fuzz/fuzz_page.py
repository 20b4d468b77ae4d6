"""Any bytes make a page, the same however they are cut, and no more than one tag of them is held.

The invariant itself is ``web_invariants.check_page``: the tests replay the corpus with it. First byte: size of chunks. Run:
``python tests/fuzz/fuzz_page.py -max_total_time=60``. New inputs go to a temporary folder unless one is named; a crash
writes its input into the working folder: put it into corpus/page/.
"""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus" / "page"


def main() -> None:
    sys.path[:0] = [str(HERE.parent.parent / "src"), str(HERE.parent)]
    import atheris

    with atheris.instrument_imports(include=["doorward"]):
        from web_invariants import check_page

    arguments = sys.argv
    if all(argument.startswith("-") for argument in arguments[1:]):
        arguments = [*arguments, tempfile.mkdtemp(prefix="fuzz_page."), str(CORPUS)]
    atheris.Setup(arguments, check_page)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
