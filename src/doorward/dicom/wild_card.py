"""Wild card matching: "*" is any run of characters, also none, and "?" is any one character (PS3.4 section C.2.2.2.4).

Theory of operation: a pattern becomes one regular expression. Between two "*" the leftmost fit is as good as any other, so
each stretch is an atomic group that is never tried a second time: a pattern with a thousand stars costs no more than the
product of its length and the text's, whatever a stranger writes.
"""

import re
from functools import lru_cache

WILD_CARDS = frozenset("*?")


def has_wild_card(text: str) -> bool:
    """Return whether a key value asks for wild card matching."""
    return not WILD_CARDS.isdisjoint(text)


def fits(pattern: str, text: str) -> bool:
    """Return whether the whole text is what a pattern describes; case counts."""
    return _expression(pattern).fullmatch(text) is not None


def prefix_of(pattern: str) -> str:
    """Return what every text that fits begins with: the pattern up to its first wild card."""
    return re.split(r"[*?]", pattern, maxsplit=1)[0]


def is_prefix_pattern(pattern: str) -> bool:
    """Return whether a pattern says nothing but how a text begins: "abc*"."""
    return pattern.endswith("*") and not has_wild_card(pattern.rstrip("*"))


@lru_cache(maxsize=256)
def _expression(pattern: str) -> re.Pattern[str]:
    first, *rest = re.sub(r"\*+", "*", pattern).split("*")
    middle = "".join(f"(?>.*?{_literal(stretch)})" for stretch in rest[:-1])
    last = f".*{_literal(rest[-1])}" if rest else ""
    return re.compile(_literal(first) + middle + last, re.DOTALL)


def _literal(stretch: str) -> str:
    return re.escape(stretch).replace(r"\?", ".")
