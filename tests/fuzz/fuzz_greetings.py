"""Whatever a database, directory or file server sends: harmless words, PeerProtocolError or LimitExceeded, and few words of ours.

The invariant itself is ``greeting_talk.check_greeting``: the tests replay the corpus with it. First byte: which
conversation; second byte: in pieces of how many bytes the rest comes. The corpus is what real servers said. Run:
``python tests/fuzz/fuzz_greetings.py -max_total_time=60``.
"""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus" / "greetings"


def main() -> None:
    sys.path[:0] = [str(HERE.parent.parent / "src"), str(HERE.parent)]
    import atheris

    with atheris.instrument_imports(include=["doorward"]):
        from greeting_talk import check_greeting

    arguments = sys.argv
    if all(argument.startswith("-") for argument in arguments[1:]):
        arguments = [*arguments, tempfile.mkdtemp(prefix="fuzz_greetings."), str(CORPUS)]
    atheris.Setup(arguments, check_greeting)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
