"""Several doors of one system show one archive: numbers are compared, never added."""

from doorward.audit.count_facts import QueryEnd
from doorward.audit.facts import Exactness
from doorward.audit.holdings import largest
from doorward.audit.judge import judge
from doorward.audit.web_facts import Access
from seen import (
    ANYBODY,
    KNOWN_TITLES,
    NOW,
    OFFERS_ALL,
    STUDIES_1234,
    attempt,
    exposure,
    offers,
    parts,
    query,
    system,
)
from seen import counted as listed
from web_seen import counted, dicomweb, rest, web, web_attempt


def counts(*attempts):
    return judge(system(*attempts), now=NOW).counts


def dicom(capabilities=OFFERS_ALL):
    return [attempt(facts) for facts in (ANYBODY, capabilities, STUDIES_1234)]


def test_of_equals_the_archives_own_counter_stands():
    listed = counted(6, Exactness.EXACT_ENUMERATED)
    assert largest([listed, counted(6), counted(6, Exactness.AT_LEAST)]) == counted(6)
    assert largest([counted(6), counted(7, Exactness.AT_LEAST)]).value == 7
    assert largest([]).value is None


def test_two_doors_of_one_archive_are_counted_once():
    seen = counts(*dicom(), web_attempt(web(rest=(rest(studies=counted(1_234)),))))
    assert (seen.studies.value, seen.studies.exactness) == (1_234, Exactness.EXACT_COUNTER)


def test_the_door_that_shows_most_decides():
    seen = counts(*dicom(), web_attempt(dicomweb(studies=counted(5_000))))
    assert seen.studies.value == 5_000


def test_a_web_door_alone_is_exposure():
    shown = dicomweb(studies=counted(12), images=counted(340), wado=Access.OPEN)
    seen = counts(web_attempt(shown))
    assert (seen.studies.value, seen.images.value, seen.images_downloadable.value) == (12, 340, 340)
    assert "retrieve service" in seen.images_downloadable.method


def test_what_the_web_lists_and_does_not_hand_out_is_not_downloadable():
    shown = dicomweb(studies=counted(12), images=counted(340), wado=Access.LOGIN)
    assert counts(web_attempt(shown)).images_downloadable.value is None


CUT = exposure(
    query(QueryEnd.WARNING, 500, status=0xFE00),
    studies=listed(500, Exactness.AT_LEAST),
    images=listed(900, Exactness.AT_LEAST),
    patients=listed(77),
)


def test_what_was_counted_in_parts_is_taken_before_the_capped_whole():
    in_parts = parts(listed(1_300), listed(2_600))
    found = counts(*(attempt(one) for one in (ANYBODY, OFFERS_ALL, CUT, in_parts)))
    assert (found.studies, found.images) == (listed(1_300), listed(2_600))
    assert found.patients == listed(77)
    assert found.images_downloadable.value == 2_600


def test_parts_that_prove_the_whole_make_it_exact():
    in_parts = parts(listed(500), listed(900))
    found = counts(*(attempt(one) for one in (ANYBODY, OFFERS_ALL, CUT, in_parts)))
    assert (found.studies, found.images) == (listed(500), listed(900))


def test_parts_of_a_caller_whom_somebody_vouched_for_are_nobodys_exposure():
    in_parts = parts(listed(1_300), listed(2_600))
    found = counts(*(attempt(one) for one in (KNOWN_TITLES, CUT, in_parts)))
    assert found.studies.value is None


def test_without_a_retrieve_context_nothing_can_be_taken():
    assert counts(*dicom(offers("find"))).images_downloadable.value == 0


def test_what_stands_behind_a_login_is_nobodys_exposure():
    shut = web(rest=(rest(Access.LOGIN, studies=counted(9)),))
    assert counts(web_attempt(shut)).studies.value is None


def test_what_only_the_machine_itself_is_served_is_not_counted():
    own = web(rest=(rest(studies=counted(9), is_local_only=True),))
    made = web_attempt(own, address="127.0.0.1")
    judged = judge(system(made), now=NOW)
    assert judged.counts.studies.value is None
    assert "E5" not in judged.rungs
