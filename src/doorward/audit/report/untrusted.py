"""Makes text that a stranger chose harmless to every reader: terminals, browsers, spreadsheets of the eye.

A version name or a certificate's subject comes from the audited system. It may hold escape sequences that rewrite a
terminal, marks that reverse the direction of writing, or a megabyte. Escaping for the output format (HTML, markup) is
the business of each writer; this module removes what no writer needs.
"""

import unicodedata
from typing import Annotated

from pydantic import BeforeValidator

from doorward.limits import DEFAULT_LIMITS

#: Control, format (bidirectional marks, zero width), surrogate, private, unassigned; line and paragraph separators.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def harmless(text: str, *, most: int = DEFAULT_LIMITS.report_text_chars) -> str:
    """Return one line of printable text, at most ``most`` characters; what was removed leaves a single space or "?"."""
    shortened = text if len(text) <= most else text[: most - 1] + "…"
    if shortened.isprintable():
        # Nearly every text is, with single spaces; looking closer costs seconds in a large survey.
        if "  " not in shortened and shortened[:1] != " " and shortened[-1:] != " ":
            return shortened
    else:
        shortened = "".join(_printable(character) for character in shortened)
    return " ".join(shortened.split())


def _printable(character: str) -> str:
    if character.isspace():
        return " "
    return "?" if unicodedata.category(character) in _UNPRINTABLE else character


def _validated(value: object) -> object:
    return harmless(value) if isinstance(value, str) else value


def _validated_lines(value: object) -> object:
    if not isinstance(value, str):
        return value
    return "\n".join(harmless(line) for line in value.split("\n"))


#: A text of a report: cleaned when the model is made, so that no writer can forget to.
Line = Annotated[str, BeforeValidator(_validated)]

#: The same for our own advice, which may have a line for each product.
Lines = Annotated[str, BeforeValidator(_validated_lines)]
