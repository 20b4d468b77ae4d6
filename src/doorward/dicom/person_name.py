"""Person names: component groups, and which two spellings are one name (PS3.5 section 6.2.1).

Theory of operation. A value of VR PN is up to three groups joined by "=": alphabetic, ideographic and phonetic; each has up
to five components joined by "^". How names match is left to the implementation, which has to say it (PS3.4 sections
C.2.2.2.1 and C.2.2.2.4). Ours:

* spaces around a component and delimiters without anything behind them say nothing: "Doe^John^^" is "Doe^John";
* with folding, neither do case, accents of Latin, Greek and Cyrillic letters, and widths (half-width katakana). Letters that
  are not an accented other one stay themselves: "ø" is not "o", and the marks of kana, Thai or Hebrew are kept;
* a key of one group is looked for in each of the three; a key with "=" has to fit group by group, an empty group fits all;
* a wild card may run over "^", and a key fits as well where only empty components are missing: "Doe^*" fits "Doe".
"""

import re
import unicodedata

from doorward.dicom.wild_card import fits, has_wild_card, is_prefix_pattern, prefix_of

GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_ACCENTS = re.compile("[\u0300-\u036f]+")


def component_groups(value: str) -> tuple[str, ...]:
    """Return the groups as they are written, three at most, without padding; groups at the end that are empty are left out."""
    groups = [group.strip(" \0") for group in value.split("=")[: len(GROUPS)]]
    while groups and not groups[-1]:
        groups.pop()
    return tuple(groups)


def fold(text: str) -> str:
    """Return text without what is not compared: case, accents of Latin, Greek and Cyrillic letters, widths."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFKC", _ACCENTS.sub("", decomposed).casefold())


def comparable_groups(value: str, *, is_folded: bool = True) -> tuple[str, ...]:
    """Return the groups of a name as they are compared; what is indexed. An empty group in front of others is ""."""
    return tuple(_comparable(group, is_folded) for group in component_groups(value))


def _comparable(group: str, is_folded: bool) -> str:
    text = "^".join(component.strip() for component in group.split("^")).rstrip("^")
    return fold(text) if is_folded else unicodedata.normalize("NFC", text)


def name_fits(key: tuple[str, ...], name: tuple[str, ...]) -> bool:
    """Return whether a name is what a key asks for; both come from ``comparable_groups``."""
    if len(key) == 1:
        return any(_group_fits(key[0], group) for group in name if group)
    padded = name + ("",) * (len(key) - len(name))
    pairs = zip(key, padded, strict=False)
    return all(_group_fits(wanted, group) for wanted, group in pairs if wanted)


def _group_fits(wanted: str, group: str) -> bool:
    if not has_wild_card(wanted):
        return wanted == group
    missing = wanted.count("^") - group.count("^")
    return fits(wanted, group + "^" * max(0, missing))


def certain_prefix(key: tuple[str, ...]) -> tuple[str, bool]:
    """Return what some group of every fitting name begins with, and whether each name with such a group fits."""
    wanted = next((group for group in key if group), "")
    prefix = prefix_of(wanted)
    is_all = len(key) == 1 and is_prefix_pattern(wanted) and not prefix.endswith("^")
    return prefix.rstrip("^"), is_all
