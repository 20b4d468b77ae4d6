"""No matter what bytes a device sends as action information, they are a request for storage commitment or none.

What is a request can be reported about in both transfer syntaxes. The tests replay the corpus. First byte: which one. Run:
``python tests/fuzz/fuzz_commitment.py -max_total_time=60``. New inputs go to a temporary folder unless one is named; a crash
writes its input into the working folder: put it into corpus/commitment/.
"""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus" / "commitment"
SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")


def check(content: bytes) -> None:
    """Read a request, and report about what it names."""
    from doorward.archive.commitment.messages import Found, encode_report, read_request
    from doorward.errors import LimitExceeded

    syntax = SYNTAXES[content[0] % 3] if content else SYNTAXES[0]
    try:
        asked = read_request(content[1:], syntax)
    except LimitExceeded:
        return
    if asked is None:
        return
    found = Found(committed=asked.references, failed=())
    again = read_request(encode_report(asked.transaction_uid, found, "A", syntax), syntax)
    assert again == asked


def main() -> None:
    """Run the fuzzer."""
    sys.path[:0] = [str(HERE.parent.parent / "src"), str(HERE.parent)]
    import atheris

    with atheris.instrument_imports(include=["doorward"]):
        import doorward.archive.commitment.messages  # noqa: F401 - instrumented here

    arguments = sys.argv
    if all(argument.startswith("-") for argument in arguments[1:]):
        arguments = [*arguments, tempfile.mkdtemp(prefix="fuzz_commitment."), str(CORPUS)]
    atheris.Setup(arguments, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
