"""Files of newer knowledge in any pieces are an update that comes back from its own file, or an error that names the file.

The invariant itself is ``knowledge_files.check_update``: the tests replay the corpus with it. First byte: size of pieces. Run:
``python tests/fuzz/fuzz_updates.py -max_total_time=60``. New inputs go to a temporary folder unless one is named; a crash
writes its input into the working folder: put it into corpus/updates/.
"""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus" / "updates"


def main() -> None:
    sys.path[:0] = [str(HERE.parent.parent / "src"), str(HERE.parent)]
    import atheris

    with atheris.instrument_imports(include=["doorward"]):
        from knowledge_files import check_update

    arguments = sys.argv
    if all(argument.startswith("-") for argument in arguments[1:]):
        arguments = [*arguments, tempfile.mkdtemp(prefix="fuzz_updates."), str(CORPUS)]
    atheris.Setup(arguments, check_update)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
