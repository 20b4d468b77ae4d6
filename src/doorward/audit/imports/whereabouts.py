"""Fields that say where a system stands, whom to tell and what it calls itself: bounded, and harmless to every reader.

``country`` and ``text`` are lenient, for what other tools found out by themselves; ``required_country`` and ``ae_title`` are
strict, for what an operator wrote and can correct.
"""

import re

from doorward.audit.imports.fields import RowError
from doorward.audit.report.untrusted import harmless
from doorward.limits import Limits

#: ISO 3166-1 alpha-2, all that are assigned; and XK, which its users agreed on for Kosovo among those left free for them.
_CODES = """
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD
CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF
GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN
KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA
NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI
SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI
VN VU WF WS YE YT ZA ZM ZW XK
"""
_COUNTRIES = frozenset(_CODES.split())
#: Codes that are often written and are reserved for good reasons (ISO 3166-1, exceptional reservations).
_MISTAKEN = {"UK": "GB", "EL": "GR"}
#: "1.23E+11": what a spreadsheet makes of an AE title of digits only; the digits are lost.
_SHORTENED = re.compile(r"[0-9][.,]?[0-9]*E[+-]?[0-9]+", re.IGNORECASE)
_AE_TITLE_CHARS = 16


def text(value: object, limits: Limits) -> str:
    """Return one short line of printable text, "" for what is no text."""
    return harmless(value, most=limits.import_text_chars) if isinstance(value, str) else ""


def country(value: object) -> str:
    """Return a country's two letters (ISO 3166-1 alpha-2) in upper case, "" for what is none."""
    if not isinstance(value, str) or not value.isascii():
        return ""
    letters = value.strip().upper()
    return letters if letters in _COUNTRIES else ""


def required_country(value: str, field: str) -> str:
    """Return a country like ``country``; raises RowError for what is none."""
    found = country(value)
    if found:
        return found
    meant = _MISTAKEN.get(value.strip().upper())
    advice = f"; the code is {meant}" if meant else ", such as DE or US"
    raise RowError(field, f"is no two-letter country code (ISO 3166-1){advice}")


def ae_title(value: str, field: str) -> str:
    """Return an AE title without its padding; raises RowError.

    PS3.5 section 6.2: at most 16 characters, no backslash, no control character. Only ASCII leaves for the wire.
    """
    title = value.strip(" ")
    if not title:
        return ""
    if _SHORTENED.fullmatch(title):
        raise RowError(field, "looks like a number that a spreadsheet has shortened")
    if len(title) > _AE_TITLE_CHARS:
        raise RowError(field, f"is longer than {_AE_TITLE_CHARS} characters")
    if "\\" in title or not (title.isascii() and title.isprintable()):
        raise RowError(field, "is no AE title: printable ASCII without a backslash")
    return title
