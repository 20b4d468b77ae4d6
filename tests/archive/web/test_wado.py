"""Files leave by HTTP as they lie, when policy, allowance and journal have said yes; and never a part for the whole."""

import dataclasses
import io
import os

import pydicom
import pytest

from archives import EVERYTHING, instance, opened, records
from dicomweb_calls import BASE, Web, path_of, who
from doorward.access.identity import Operation, Role
from doorward.access.journal.record import Event, Outcome
from doorward.access.rules import Effect, Rule, Rules
from doorward.wire.uids import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from loopback import in_loop, limits

ANY = 'multipart/related; type="application/dicom"; transfer-syntax=*'
PIXELS = bytes(range(256)) * 8


def entries(folder, *events):
    return [one.entry for one in records(folder) if one.entry.event in events]


async def held_file(archive, uid):
    [held] = await archive.index.instances_with([uid])
    async with archive.blobs.open_blob(held.digest) as reader:
        return held, await reader.read(0, reader.size_bytes)


async def of_one_study(web, count=3):
    """Store a study of one series."""
    same = {"StudyInstanceUID": "1.9", "SeriesInstanceUID": "1.9.1"}
    await web.store(*(instance(f"1.9.1.{n}", PIXELS * n, **same) for n in range(1, count + 1)))


@in_loop
async def test_an_instance_is_its_file_byte_by_byte(tmp_path):
    async with opened(tmp_path) as archive:
        web = Web(archive)
        await web.store(instance("1.2.3", PIXELS))
        held, content = await held_file(archive, "1.2.3")
        single = await web.get(path_of("1.2.3"), Accept="application/dicom")
        parted = await web.get(path_of("1.2.3"), Accept=ANY)

    assert single.body == content
    assert pydicom.dcmread(io.BytesIO(single.body)).PixelData == PIXELS
    assert single.headers["etag"] == f'"{held.digest}"'
    assert single.headers["content-length"] == str(len(content))
    assert single.headers["content-type"].endswith(f"transfer-syntax={EXPLICIT_VR_LITTLE_ENDIAN}")
    [(fields, body)] = parted.parts()
    assert body == content
    assert fields["content-location"] == f"{BASE}{path_of('1.2.3')}"
    assert parted.headers["content-length"] == str(len(parted.body))


@in_loop
async def test_a_study_and_a_series_are_all_of_their_files(tmp_path):
    async with opened(tmp_path, limits=limits(web_piece_bytes=1_000)) as archive:
        web = Web(archive)
        await of_one_study(web)
        contents = [(await held_file(archive, f"1.9.1.{n}"))[1] for n in (1, 2, 3)]
        for path in ("/studies/1.9", "/studies/1.9/series/1.9.1"):
            reply = await web.get(path, Accept=ANY)
            assert [body for _, body in reply.parts()] == contents
            assert reply.headers["content-length"] == str(len(reply.body))
        assert (await web.get("/studies/1.9", Accept="application/dicom")).status == 406


@in_loop
async def test_what_leaves_is_in_the_journal_before_and_after(tmp_path):
    async with opened(tmp_path) as archive:
        web = Web(archive)
        await of_one_study(web)
        await web.get("/studies/1.9", Accept=ANY)
    begun, done = entries(tmp_path, Event.TRANSFER_BEGUN, Event.RETRIEVE)
    assert (begun.event, done.event) == (Event.TRANSFER_BEGUN, Event.RETRIEVE)
    assert begun.studies == done.studies == ("1.9",)
    assert (begun.instances, done.instances, done.outcome) == (3, 3, Outcome.SUCCESS)
    assert begun.size_bytes == done.size_bytes > len(PIXELS)
    assert (done.identity, done.peer) == ("ws1", "127.0.0.1")


@in_loop
async def test_who_has_it_already_gets_nothing_again(tmp_path):
    async with opened(tmp_path) as archive:
        web = Web(archive)
        await of_one_study(web)
        for path, accept in (
            ("/studies/1.9", ANY),
            ("/studies/1.9/series/1.9.1/instances/1.9.1.1", "application/dicom"),
        ):
            etag = (await web.get(path, Accept=accept)).headers["etag"]
            again = await web.get(path, Accept=accept, If_None_Match=f'"x", {etag}')
            assert (again.status, again.body) == (304, b"")
            assert (await web.get(path, Accept=accept, If_None_Match='"x"')).status == 200
        await web.store(instance("1.9.1.4", StudyInstanceUID="1.9", SeriesInstanceUID="1.9.1"))
        assert (await web.get("/studies/1.9", Accept=ANY, If_None_Match=etag)).status == 200


@in_loop
async def test_the_head_alone_draws_on_no_allowance(tmp_path):
    async with opened(tmp_path, limits=limits(volume_retrieved_bytes=1)) as archive:
        web = Web(archive)
        await of_one_study(web)
        head = await web.ask("HEAD", "/studies/1.9", Accept=ANY)
        refused = await web.get("/studies/1.9", Accept=ANY)
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["content-length"]) > len(PIXELS)
    assert refused.status == 429
    assert entries(tmp_path, Event.RETRIEVE)[0].instances == 0


@in_loop
async def test_a_used_up_hour_says_when_to_come_again(tmp_path):
    async with opened(tmp_path, limits=limits(volume_studies=1)) as archive:
        web = Web(archive)
        await web.store(instance("1.2.3"), instance("1.2.4"))
        assert (await web.get("/studies/1.2.3.1", Accept=ANY)).status == 200
        refused = await web.get("/studies/1.2.4.1", Accept=ANY)
        assert (await web.get("/studies/1.2.3.1", Accept=ANY)).status == 200
    assert refused.status == 429
    assert 0 < int(refused.headers["retry-after"]) <= 3_600
    [refusal] = entries(tmp_path, Event.REFUSAL)
    assert (refusal.rule, refusal.studies) == ("(volume)", ("1.2.4.1",))


@in_loop
async def test_who_may_not_take_it_is_refused_and_what_is_not_there_is_not_found(tmp_path):
    denied = Rule(
        name="old",
        effect=Effect.DENY,
        operations=frozenset({Operation.RETRIEVE}),
        older_than_days=1,
    )
    async with opened(tmp_path) as archive:
        web = Web(archive)
        await web.store(instance("1.2.3"))
        assert (await web.get("/studies/1.2.99", Accept=ANY)).status == 404
        assert (await web.get("/studies/1.2.3.1/series/1.2.99", Accept=ANY)).status == 404
        assert (await web.get("/studies/../x", Accept=ANY)).status == 404
        archive.use(rules=Rules(rules=(*EVERYTHING.rules, denied)))
        reply = await web.get("/studies/1.2.3.1", Accept=ANY)
        assert (reply.status, reply.json()["error"]) == (403, "Not permitted for this study")
        absent = await web.get(
            "/studies/1.2.99", Accept=ANY
        )  # the same: nobody learns what is held
        assert (absent.status, absent.body) == (403, reply.body)
        web.identity = who("ct1", Role.MODALITY)
        assert (await web.get("/studies/1.2.3.1", Accept=ANY)).status == 403
        web.identity = None
        assert (await web.get("/studies/1.2.3.1", Accept=ANY)).status == 403


@in_loop
async def test_a_file_that_is_missing_is_an_answer_while_it_can_be_one_and_a_broken_connection_later(
    tmp_path,
):
    async with opened(tmp_path, limits=limits(web_piece_bytes=1_000)) as archive:
        web = Web(archive)
        await of_one_study(web)
        held, _ = await held_file(archive, "1.9.1.2")
        path = archive.blobs.shelf.path_of(held.digest)
        archive.blobs.shelf.disk.remove(path)
        late = await web.get("/studies/1.9", Accept=ANY)
        at_once = await web.get("/studies/1.9/series/1.9.1/instances/1.9.1.2", Accept=ANY)
    assert (late.status, late.is_whole) == (200, False)
    assert len(late.body) < int(late.headers["content-length"])
    assert at_once.status == 503
    done = entries(tmp_path, Event.RETRIEVE)
    assert [(one.outcome, one.instances) for one in done] == [
        (Outcome.FAILED, 0),  # the end of the first file was still held
        (Outcome.FAILED, 0),
    ]


@in_loop
async def test_small_files_leave_together_and_one_that_is_missing_among_them_is_an_answer(tmp_path):
    async with opened(tmp_path) as archive:
        web = Web(archive, patience=2)  # the head of the answer, and one piece
        await of_one_study(web)
        together = await web.get("/studies/1.9", Accept=ANY)
        contents = [(await held_file(archive, f"1.9.1.{n}"))[1] for n in (1, 2, 3)]
        held, _ = await held_file(archive, "1.9.1.2")
        archive.blobs.shelf.disk.remove(archive.blobs.shelf.path_of(held.digest))
        web.patience = None
        refused = await web.get("/studies/1.9", Accept=ANY)
    assert [body for _, body in together.parts()] == contents
    assert (refused.status, refused.is_whole) == (503, True)


@in_loop
async def test_a_file_of_another_size_than_the_index_says_is_not_sent(tmp_path):
    async with opened(tmp_path) as archive:
        web = Web(archive)
        await web.store(instance("1.2.3"))
        held, _ = await held_file(archive, "1.2.3")
        os.truncate(archive.blobs.shelf.path_of(held.digest), held.size_bytes - 2)
        assert (await web.get(path_of("1.2.3"), Accept=ANY)).status == 503


@in_loop
async def test_a_client_that_goes_away_is_recorded_as_such(tmp_path):
    async with opened(tmp_path, limits=limits(web_piece_bytes=1_000)) as archive:
        web = Web(archive, patience=3)
        await of_one_study(web)
        reply = await web.get("/studies/1.9", Accept=ANY)
    assert not reply.is_whole
    [done] = entries(tmp_path, Event.RETRIEVE)
    assert (done.outcome, done.instances, done.reason) == (Outcome.FAILED, 1, "2 failed")


def implicit(uid):
    """Return an instance in implicit VR little endian."""
    data_set = pydicom.dcmread(io.BytesIO(bytes(instance(uid, PIXELS).data_set)), force=True)
    stream = io.BytesIO()
    pydicom.dcmwrite(
        stream, data_set, implicit_vr=True, little_endian=True, enforce_file_format=False
    )
    one = instance(uid, PIXELS)
    return dataclasses.replace(
        one, transfer_syntax_uid=IMPLICIT_VR_LITTLE_ENDIAN, data_set=stream.getvalue()
    )


@in_loop
@pytest.mark.parametrize(
    ("syntax", "expected"),
    [
        ("", EXPLICIT_VR_LITTLE_ENDIAN),
        (f"; transfer-syntax={EXPLICIT_VR_LITTLE_ENDIAN}", EXPLICIT_VR_LITTLE_ENDIAN),
        ("; transfer-syntax=*", IMPLICIT_VR_LITTLE_ENDIAN),
        ("; transfer-syntax=1.2.840.10008.1.2.4.90", None),
    ],
)
async def test_implicit_vr_is_written_anew_for_whoever_does_not_take_anything(
    tmp_path, syntax, expected
):
    async with opened(tmp_path) as archive:
        web = Web(archive)
        await web.store(implicit("1.2.3"))
        reply = await web.get(path_of("1.2.3"), Accept=f"application/dicom{syntax}")
    if expected is None:
        assert reply.status == 406
        assert "transfer-syntax=*" in reply.json()["error"]
        return
    read = pydicom.dcmread(io.BytesIO(reply.body))
    assert (read.file_meta.TransferSyntaxUID, read.PixelData) == (expected, PIXELS)
    is_whole = expected == IMPLICIT_VR_LITTLE_ENDIAN
    assert reply.headers["etag"].startswith("W/") is not is_whole
    assert ("content-length" in reply.headers) is is_whole


@in_loop
async def test_a_malformed_accept_header_is_refused(tmp_path):
    async with opened(tmp_path) as archive:
        assert (await Web(archive).get("/studies/1.2", Accept="nonsense")).status == 400
