"""Pixels with foreign programs: who accepts no compression gets the same pixels, and DCMTK renders the same picture."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.pixels import pixel_array
from pynetdicom import AE, build_role, evt

from archives import HOST, calling_as, legacy, running, sendable
from dcmtk import movescu, run_tool
from doorward.archive.giving import Destination
from doorward.archive.pixels.rendering import PNG, Rendering
from doorward.net.transfer import store
from doorward.wire.uids import STUDY_ROOT_GET
from loopback import in_loop
from peers import storescp
from pixel_archives import EXPLICIT, FILES, IMPLICIT, image_of, pixels_in

pytestmark = pytest.mark.interop
DEVICES = [legacy("oldct", "modality"), legacy("oldws", "workstation", "OLDWS", "STORESCP")]
#: One of each: RLE, JPEG-LS, JPEG 2000, JPEG baseline, big endian, deflated.
COMPRESSED = (
    "MR_small_RLE.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_jp2klossless.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
    "MR_small_bigendian.dcm",
    "image_dfl.dcm",
)


def pixels_of(data_set, *, is_rgb=False):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pixel_array(data_set, raw=not is_rgb)


def expected_of(path: Path):
    """Return what a receiver that accepts no compression should see."""
    data_set = dcmread(path)
    return pixels_of(data_set, is_rgb="YBR" in data_set.PhotometricInterpretation)


@pytest.mark.parametrize(
    ("name", "syntax"), [(COMPRESSED[0], EXPLICIT), *((name, IMPLICIT) for name in COMPRESSED)]
)
def test_pynetdicom_gets_equal_pixels_in_the_only_syntax_that_it_accepts(tmp_path, name, syntax):
    one = sendable(FILES[name])
    assert one is not None
    got = []

    def take(event):
        data_set = event.dataset
        data_set.file_meta = event.file_meta
        got.append(data_set)
        return 0

    with running(tmp_path, DEVICES, None) as site:
        _send(site, FILES[name])
        ae = AE(ae_title="OLDWS")
        ae.add_requested_context(STUDY_ROOT_GET)
        ae.add_requested_context(one.sop_class_uid, syntax)
        role = build_role(one.sop_class_uid, scp_role=True)
        association = ae.associate(
            HOST,
            site.legacy_port,
            ae_title="DOORWARD",
            ext_neg=[role],
            evt_handlers=[(evt.EVT_C_STORE, take)],
        )
        key = Dataset()
        key.QueryRetrieveLevel, key.StudyInstanceUID = (
            "STUDY",
            dcmread(FILES[name]).StudyInstanceUID,
        )
        statuses = [status.Status for status, _ in association.send_c_get(key, STUDY_ROOT_GET)]
        association.release()

    assert statuses[-1] == 0
    [received] = got
    assert received.file_meta.TransferSyntaxUID == syntax
    assert received.SOPInstanceUID == one.sop_instance_uid
    assert np.array_equal(pixels_of(received), expected_of(FILES[name]))


def _send(site, path):
    """Store a file as it is."""

    async def go():
        one = sendable(path)
        assert one is not None
        wanted = (one.sop_class_uid, (one.transfer_syntax_uid,))
        async with calling_as("OLDCT", site.legacy_port, wanted) as modality:
            assert await store(modality, one) == 0

    site.do(go())


@pytest.mark.peer("dcmtk")
def test_movescu_moves_to_a_storescp_that_accepts_only_implicit_vr(tmp_path):
    name = "MR_small_jp2klossless.dcm"
    with storescp(tmp_path, options=("--fork", "--implicit")) as peer:
        target = Destination(ae_title="STORESCP", address=peer.host, port=peer.port)
        with running(tmp_path / "archive", DEVICES, None, destinations=[target]) as site:
            _send(site, FILES[name])
            study = dcmread(FILES[name]).StudyInstanceUID
            keys = ["0008,0052=STUDY", f"0020,000d={study}"]
            done = movescu(site.at_legacy_port(), keys, "STORESCP", calling="OLDWS")

    assert done.is_success, done.output
    [received] = list((tmp_path / "received").iterdir())
    data_set = dcmread(received)
    assert data_set.file_meta.TransferSyntaxUID == IMPLICIT
    assert np.array_equal(pixels_of(data_set), expected_of(FILES[name]))


@pytest.mark.peer("dcmtk")
@pytest.mark.parametrize(
    ("name", "options", "window"),
    [
        ("CT_small.dcm", ("+Ww", 40, 400), (40.0, 400.0)),
        ("CT_small.dcm", ("+Ww", 1000, 50), (1000.0, 50.0)),
        ("CT_small.dcm", ("+Wm",), None),  # it names no window: all values that occur
        ("MR_small_padded.dcm", ("+Wi", 1), None),  # its own
        ("6154", ("+Wi", 1), None),  # MONOCHROME1
        ("rtdose_1frame.dcm", ("+Wm",), None),
        ("image_dfl.dcm", ("+Ww", 128, 256), (128.0, 256.0)),
        ("examples_palette.dcm", (), None),
        ("examples_rgb_color.dcm", (), None),
        ("SC_ybr_full_422_uncompressed.dcm", (), None),
        ("SC_rgb_dcmtk_+eb+cr.dcm", (), None),
        ("SC_rgb_dcmtk_+eb+cy+n1.dcm", (), None),
        ("SC_rgb_rle_2frame.dcm", (), None),
    ],
)
def test_dcmtk_renders_the_same_picture(tmp_path, name, options, window):
    file = tmp_path / "picture.pnm"
    done = run_tool("dcmj2pnm", "--write-raw-pnm", *options, FILES[name], file)
    assert done.is_success, done.output
    with Image.open(file) as image:
        theirs = np.asarray(image).astype(int)

    ours = _rendered(tmp_path, name, window).astype(int)

    assert ours.shape == theirs.shape
    # Lossy codecs differ in their arithmetic; a window rounds in its own way.
    assert np.abs(ours - theirs).max() <= 4
    assert np.abs(ours - theirs).mean() < 0.6


def _rendered(folder, name, window):
    found = []
    shape = None if window is None else (*window, "linear")

    @in_loop
    async def render():
        async with pixels_in(folder) as pixels:
            held = await pixels.hold(FILES[name].read_bytes())
            made = await pixels.renderer.render(held, 1, Rendering(media_type=PNG, window=shape))
            found.append(image_of(made))

    render()
    return found[0]
