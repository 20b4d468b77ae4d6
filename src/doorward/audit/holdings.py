"""How much lies behind the doors of one system.

Theory of operation: several doors of one system show one archive, so their numbers are never added: of each number the
largest one stands, and of two alike the archive's own counter. Only doors that answer strangers count: a number behind a
login, or for the machine itself alone, is nobody's exposure.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from doorward.audit.door import Door
from doorward.audit.facts import UNKNOWN_COUNT, Count, Exactness
from doorward.audit.ladder import answers_query, is_downloadable, web_downloadable, web_readable
from doorward.audit.tally import largest
from doorward.audit.verdict import Counts, Finding
from doorward.audit.web_facts import Access, DicomWebFacts, WebFacts

_BY_DICOM = "retrieval was accepted in negotiation"
_BY_WEB = "the retrieve service answers without a login"


def holdings(tried: Sequence[Door], findings: Sequence[Finding]) -> Counts:
    """Return what strangers can see of one system, and what they may take."""
    dicom = [door for door in tried if answers_query(door)]
    web = web_readable(tried, findings)
    seen = [*_of_dicom(dicom), *(counts for door in web for counts in _of_web(door))]
    if not seen:
        return Counts()
    return Counts(
        patients=largest(counts.patients for counts in seen),
        studies=largest(counts.studies for counts in seen),
        images=largest(counts.images for counts in seen),
        images_downloadable=_downloadable(dicom, web, findings),
    )


def _of_dicom(doors: Iterable[Door]) -> Iterator[Counts]:
    for door in doors:
        answered = [seen for seen in door.stranger_exposures if seen.answers_study_query]
        for parts in door.stranger_parts if answered else ():  # first: of equals they say more
            patients = answered[0].patients
            yield Counts(patients=patients, studies=parts.studies, images=parts.images)
        for seen in answered:
            yield Counts(patients=seen.patients, studies=seen.studies, images=seen.images)


def _of_web(door: Door) -> Iterator[Counts]:
    for facts in door.answered(WebFacts):
        for rest in facts.rest:
            if rest.access is Access.OPEN:
                yield Counts(patients=rest.patients, studies=rest.studies, images=rest.images)
    for web in door.answered(DicomWebFacts):
        if any(root.qido is Access.OPEN for root in web.roots):
            yield Counts(patients=web.patients, studies=web.studies, images=web.images)


def _downloadable(dicom: Sequence[Door], web: Sequence[Door], findings: Sequence[Finding]) -> Count:
    """Return how many images may be taken: those of the doors that also retrieve."""
    by_dicom = [door for door in dicom if is_downloadable(door)]
    by_web = [door for door in web if web_downloadable(door, findings)]
    ways = [(counts.images, _BY_DICOM) for counts in _of_dicom(by_dicom)]
    ways += [(counts.images, _BY_WEB) for door in by_web for counts in _of_web(door)]
    most = largest(images for images, _ in ways)
    if ways:
        how = next((words for images, words in ways if images is most), ways[0][1])
        return replace(most, method=f"{most.method}; {how}")
    if not web and all(door.stranger_capabilities for door in dicom):
        return Count(
            value=0, exactness=Exactness.EXACT_ENUMERATED, method="no retrieve context was accepted"
        )
    return UNKNOWN_COUNT
