"""Rendered images over HTTPS: what may be asked for, what comes, and what is recorded before it does."""

import numpy as np
import pytest

from archives import instance, records, sendable
from doorward.access.journal.record import Event
from doorward.access.rules import Rules
from doorward.dicom.attributes import read_attributes
from doorward.dicom.part10 import syntax_of
from doorward.net.transfer import Instance
from loopback import limits
from pixel_archives import CT, FILES, image_of, made_image, ramp
from web_archives import web_archive

CT_FILE = FILES["CT_small.dcm"]
TWO_FRAMES = FILES["SC_rgb_rle_2frame.dcm"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with web_archive(tmp_path_factory.mktemp("web")) as one:
        one.stored(sendable(CT_FILE), sendable(TWO_FRAMES), instance("2.25.9"))
        yield one


def path_of(file, *more):
    """Return the address of an instance of a file."""
    return _path(sendable(file), *more)


def _path(one, *more):
    study, series = _uids(one)
    at = f"/dicom-web/studies/{study}/series/{series}/instances/{one.sop_instance_uid}"
    return "/".join([at, *more])


def _uids(one):
    syntax = syntax_of(one.transfer_syntax_uid)
    view = read_attributes(one.data_set, syntax, {0x0020000D, 0x0020000E})
    return view[0x0020000D].values[0], view[0x0020000E].values[0]


def test_an_image_comes_as_jpeg_and_as_png_of_its_own_size(site):
    jpeg = site.get(path_of(CT_FILE, "rendered"), Accept="image/jpeg")
    png = site.get(path_of(CT_FILE, "rendered"), Accept="image/png")

    assert (jpeg.status, jpeg.headers["content-type"]) == (200, "image/jpeg")
    assert (png.status, png.headers["content-type"]) == (200, "image/png")
    assert image_of(jpeg.body).shape == image_of(png.body).shape == (128, 128)


def test_nobody_gets_an_image_without_an_identity(site):
    for last in ("rendered", "thumbnail"):
        answer = site.get(path_of(CT_FILE, last), who=None)
        assert (answer.status, b"JFIF" in answer.body) == (401, False)


def test_a_modality_gets_no_image(site):
    answer = site.get(path_of(CT_FILE, "rendered"), who="ct1")

    assert answer.status == 403
    assert answer.json()["error"]


def test_frames_are_counted_from_one_and_there_are_no_more_than_there_are(site):
    first, second, third = (
        site.get(path_of(TWO_FRAMES, "frames", n, "rendered"), Accept="image/png")
        for n in ("1", "2", "3")
    )
    whole = site.get(path_of(TWO_FRAMES, "rendered"), Accept="image/png")

    assert (first.status, second.status, third.status) == (200, 200, 404)
    assert first.body == whole.body != second.body


@pytest.mark.parametrize("number", ["0", "-1", "x", "99999999999", "1,2"])
def test_what_is_no_number_of_a_frame_is_not_there(site, number):
    assert site.get(path_of(CT_FILE, "frames", number, "rendered")).status == 404


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("window=1", "window"),
        ("window=1,0,linear", "window"),
        ("window=1,nan,linear", "window"),
        ("window=1,2,cubic", "window"),
        ("viewport=0,10", "viewport"),
        ("viewport=100000,10", "viewport"),
        ("viewport=1,2,3", "viewport"),
        ("quality=0", "quality"),
        ("quality=101", "quality"),
        ("quality=5&quality=6", "quality"),
        ("annotation=patient", "annotation"),
        ("iccprofile=srgb", "iccprofile"),
        ("Canary^Never=1", "query"),
    ],
)
def test_what_may_not_be_asked_is_named_and_its_value_is_not(site, query, name):
    answer = site.get(path_of(CT_FILE, f"rendered?{query}"))

    assert answer.status == 400
    assert answer.json()["error"].startswith(name)
    assert "Canary" not in answer.json()["error"]


def test_a_viewport_and_a_window_are_obeyed(site):
    answer = site.get(
        path_of(CT_FILE, "rendered?viewport=64,32,0,0,64,64&window=40,400,linear"),
        Accept="image/png",
    )

    assert image_of(answer.body).shape == (32, 32)


@pytest.mark.parametrize("accept", ["image/gif", "video/mp4", "application/dicom"])
def test_what_is_not_made_here_is_not_acceptable(site, accept):
    assert site.get(path_of(CT_FILE, "rendered"), Accept=accept).status == 406


def test_thumbnails_come_at_every_level(site):
    instance_path = path_of(CT_FILE)
    series = instance_path.partition("/instances")[0]
    study = series.partition("/series")[0]
    for path in (study, series, instance_path, f"{instance_path}/frames/1"):
        answer = site.get(f"{path}/thumbnail")
        assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
        assert max(image_of(answer.body).shape) == 256


def test_a_thumbnail_takes_no_window(site):
    assert site.get(path_of(CT_FILE, "thumbnail?window=1,2,linear")).status == 400


def test_what_is_not_held_is_not_found(site):
    assert site.get("/dicom-web/studies/2.25.77/thumbnail").status == 404
    assert site.get("/dicom-web/studies/..%2F..%2Fetc/thumbnail").status in (400, 404)


def test_whoever_has_it_already_is_told_so(site):
    first = site.get(path_of(CT_FILE, "rendered"))
    again = site.get(path_of(CT_FILE, "rendered"), If_None_Match=first.headers["etag"])

    assert (again.status, again.body) == (304, b"")


def test_what_has_no_pixels_is_said_to_have_none(tmp_path):
    with web_archive(tmp_path) as site:
        report = sendable(FILES["reportsi.dcm"])
        site.stored(report)
        rendered = site.get(_path(report, "rendered"))
        study = _path(report).partition("/series")[0]
        thumbnail = site.get(f"{study}/thumbnail")

    assert (rendered.status, rendered.json()["error"]) == (406, "it has no pixels")
    assert thumbnail.status == 404


def test_pixels_that_cannot_be_decoded_are_an_answer_and_the_next_ones_come(tmp_path):
    good = sendable(FILES["MR_small_RLE.dcm"])
    at = good.data_set.rindex(b"\xfe\xff\x00\xe0")
    broken = good.data_set[: at + 8] + b"\xff" * 64 + good.data_set[at + 72 :]
    with web_archive(tmp_path) as site:
        site.stored(
            Instance(
                sop_class_uid=good.sop_class_uid,
                sop_instance_uid=good.sop_instance_uid,
                transfer_syntax_uid=good.transfer_syntax_uid,
                data_set=broken,
            ),
            sendable(CT_FILE),
        )
        bad = site.get(_path(good, "rendered"))
        fine = site.get(path_of(CT_FILE, "rendered"))

    assert (bad.status, bad.json()["error"]) == (406, "it cannot be decoded")
    assert fine.status == 200


def test_the_journal_knows_what_was_looked_at_and_rules_hide_it(tmp_path):
    with web_archive(tmp_path) as site:
        site.stored(sendable(CT_FILE))
        assert site.get(path_of(CT_FILE, "rendered")).status == 200
        site.call(lambda: site.archive.use(rules=Rules(rules=())))
        refused = site.get(path_of(CT_FILE, "rendered"))

    events = [(one.entry.event, one.entry.identity) for one in records(tmp_path / "archive")]
    assert (Event.TRANSFER_BEGUN, "ws1") in events
    assert (Event.RETRIEVE, "ws1") in events
    assert refused.status == 403


def test_images_count_against_the_allowance_of_the_hour(tmp_path):
    with web_archive(tmp_path, limits=limits(volume_studies=1)) as site:
        other = made_image(ramp(0, 255), StudyInstanceUID="2.25.7", SOPInstanceUID="2.25.8")
        (tmp_path / "other.dcm").write_bytes(other)
        site.stored(sendable(CT_FILE), sendable(tmp_path / "other.dcm"))
        first = site.get(path_of(CT_FILE, "rendered"))
        second = site.get(path_of(tmp_path / "other.dcm", "rendered"))

    assert (first.status, second.status) == (200, 429)


def test_the_middle_instance_of_a_series_is_its_thumbnail(tmp_path):
    shades = (10, 120, 240)
    with web_archive(tmp_path) as site:
        for n, shade in enumerate(shades, 1):
            pixels = np.full((16, 16, 3), shade, "u1")
            file = tmp_path / f"{n}.dcm"
            file.write_bytes(made_image(pixels, SOPInstanceUID=f"2.25.50.{n}", SOPClassUID=CT))
            site.stored(sendable(file))
        answer = site.get("/dicom-web/studies/2.25.1/series/2.25.2/thumbnail", Accept="image/png")

    assert int(image_of(answer.body).mean()) == shades[1]
