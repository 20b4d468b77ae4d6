"""Which patient attributes come back non-empty? Clearance level 3 only; lengths, never values.

One STUDY-level C-FIND that asks for them as empty keys, C-CANCEL after the first match; of that match the walker reads tag
and length of the elements asked for, and the identifier is dropped (PS3.4 section C.6.2.1).
"""

from doorward.audit.approach import Answer, Approach
from doorward.audit.facts import AttributeFacts, Outcome
from doorward.dicom.tags import keyword_of
from doorward.dicom.values import encode_identifier
from doorward.dicom.walk import Syntax, find_top_level
from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.net.operations import FindEnd
from doorward.wire.pdu import Fragment
from doorward.wire.uids import STUDY_ROOT_FIND

_LEVEL = 0x0008_0052
_STUDY_INSTANCE_UID = 0x0020_000D
#: What the 2019 study lists as exposed: name, birth date, physician, examination, institution; and their neighbours.
_WANTED = (
    (0x0008_0020, "DA"),  # Study Date
    (0x0008_0050, "SH"),  # Accession Number
    (0x0008_0080, "LO"),  # Institution Name
    (0x0008_0090, "PN"),  # Referring Physician's Name
    (0x0008_1030, "LO"),  # Study Description
    (0x0010_0010, "PN"),  # Patient's Name
    (0x0010_0020, "LO"),  # Patient ID
    (0x0010_0030, "DA"),  # Patient's Birth Date
    (0x0010_0040, "CS"),  # Patient's Sex
)
_READ = frozenset((_STUDY_INSTANCE_UID, *(tag for tag, _ in _WANTED)))


class _Lengths:
    """Takes the first match; keeps lengths."""

    def __init__(self) -> None:
        self.found: dict[str, int] | None = None
        self.is_malformed = False

    def take(self, status: int, identifier: Fragment) -> None:
        """Read tags and lengths of one match; the values are not touched."""
        if self.found is not None or self.is_malformed:
            return
        try:
            elements = find_top_level(identifier, Syntax.IMPLICIT_LITTLE, _READ)
        except (PeerProtocolError, LimitExceeded):
            self.is_malformed = True
            return
        if _STUDY_INSTANCE_UID not in elements:
            self.is_malformed = (
                True  # a match without its unique key is no match (PS3.4 section C.2.2.1.1)
            )
            return
        del elements[_STUDY_INSTANCE_UID]
        self.found = {
            keyword_of(tag): element.length
            for tag, element in elements.items()
            if element.length > 0
        }


async def ask(approach: Approach) -> Answer:
    """Look at one match."""
    keys = (
        (_LEVEL, "CS", "STUDY"),
        (_STUDY_INSTANCE_UID, "UI", ""),
        *((t, vr, "") for t, vr in _WANTED),
    )
    lengths = _Lengths()
    async with approach.admitted_association([STUDY_ROOT_FIND]) as requestor:
        if requestor.context_for(STUDY_ROOT_FIND) is None:
            return Outcome.INCONCLUSIVE, "no query context was accepted", None
        identifier = encode_identifier(sorted(keys), Syntax.IMPLICIT_LITTLE)
        result = await requestor.find(STUDY_ROOT_FIND, identifier, lengths.take, max_matches=1)
    if lengths.found is not None:
        return Outcome.ANSWERED, "", AttributeFacts(returned=lengths.found)
    if lengths.is_malformed:
        return Outcome.INCONCLUSIVE, "the match could not be read", None
    if result.end is FindEnd.FINAL:
        return Outcome.INCONCLUSIVE, "there was no match to look at", None
    return Outcome.INCONCLUSIVE, f"the query got no answer ({result.end.value})", None
