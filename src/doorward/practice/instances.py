"""A few images as bytes: what a practice archive gives away by C-GET, and what a real archive is loaded with.

Secondary capture, 16 by 16 pixels, explicit VR little endian. They carry the attributes of the holding, so every text in
them says that it is synthetic. Nothing but this project's own encoder is needed.
"""

from collections.abc import Iterator

from doorward.dicom.values import Attribute, encode_identifier
from doorward.dicom.walk import Syntax
from doorward.net.transfer import Instance
from doorward.practice.holding import DATES, Holding
from doorward.practice.matches import COUNTS
from doorward.wire.uids import EXPLICIT_VR_LITTLE_ENDIAN, SECONDARY_CAPTURE_IMAGE_STORAGE

SOP_CLASS = SECONDARY_CAPTURE_IMAGE_STORAGE
TRANSFER_SYNTAX = EXPLICIT_VR_LITTLE_ENDIAN
_SOP_INSTANCE_UID = 0x0008_0018
_SIDE = 16
#: Image Pixel and SC Equipment modules (PS3.3 sections C.7.6.3 and C.8.6.1).
_PIXELS: tuple[Attribute, ...] = (
    (0x0008_0064, "CS", "SYN"),
    (0x0028_0002, "US", 1),
    (0x0028_0004, "CS", "MONOCHROME2"),
    (0x0028_0010, "US", _SIDE),
    (0x0028_0011, "US", _SIDE),
    (0x0028_0100, "US", 8),
    (0x0028_0101, "US", 8),
    (0x0028_0102, "US", 7),
    (0x0028_0103, "US", 0),
    (0x7FE0_0010, "OB", bytes(range(_SIDE)) * _SIDE),
)


def instances_of(holding: Holding, study: int) -> Iterator[Instance]:
    """Yield every image of one study."""
    for image in range(1, holding.images_of(study) + 1):
        yield instance(holding, study, image)


def instance(holding: Holding, study: int, image: int) -> Instance:
    """Return one image; ``image`` counts from 1."""
    numbers = {
        "study": f"{study:08}",
        "patient": f"{study % holding.patients:07}",
        "image": f"{image:06}",
        "date": f"{DATES[study % holding.days]:08}",
        "time": f"{holding.time_of(study):06}",
    }
    known = [
        (tag, vr, value.format(**numbers))
        for tag, (_, vr, value) in holding.attributes().items()
        if tag not in COUNTS
    ]
    uid = next(value for tag, _, value in known if tag == _SOP_INSTANCE_UID)
    return Instance(
        sop_class_uid=SOP_CLASS,
        sop_instance_uid=uid,
        transfer_syntax_uid=TRANSFER_SYNTAX,
        data_set=encode_identifier([*known, *_PIXELS], Syntax.EXPLICIT_LITTLE),
    )
