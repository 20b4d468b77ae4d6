"""Stored images for tests of ``archive.pixels``: blobs, an index and workers, without doors; and pydicom's view of them."""

import warnings
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.pixels import pixel_array

from doorward.archive.blobs.disk import LocalDisk
from doorward.archive.blobs.store import BlobStore
from doorward.archive.index.entry import HeldInstance
from doorward.archive.index.index import Index
from doorward.archive.pixels.rendering import Renderer
from doorward.archive.pixels.transcoding import Transcoder
from doorward.archive.pixels.workers import Workers
from doorward.dicom.part10 import read_file_meta
from doorward.limits import DEFAULT_LIMITS, Limits
from pydicom_files import PATHS

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
#: Files of pydicom's wheel by their bare names.
FILES = {Path(name).name: path for name, path in PATHS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """What renders and transcodes, over one store."""

    blobs: BlobStore
    workers: Workers
    renderer: Renderer
    transcoder: Transcoder

    async def hold(self, content: bytes) -> HeldInstance:
        """Keep a file as the archive would."""
        async with self.blobs.writer() as writer:
            await writer.write(content)
            blob = await writer.commit()
        meta = read_file_meta(content)
        return HeldInstance(
            study=1,
            study_uid="2.25.1",
            series_uid="2.25.2",
            sop_instance_uid=meta.media_storage_sop_instance_uid or "2.25.3",
            sop_class_uid=meta.media_storage_sop_class_uid or CT,
            transfer_syntax_uid=meta.transfer_syntax_uid,
            digest=blob.digest,
            size_bytes=blob.size_bytes,
            received_at=datetime(2026, 1, 1, tzinfo=UTC),
            source="ct1",
        )

    async def written_in(self, held: HeldInstance, target: str) -> bytes:
        """Return the data set as it is written in another transfer syntax."""
        return b"".join([piece async for piece in self.transcoder.pieces(held, target)])


@asynccontextmanager
async def pixels_in(folder: Path, limits: Limits = DEFAULT_LIMITS) -> AsyncIterator[Pixels]:
    """Open a store and what works on it."""
    LocalDisk().make_folder(str(folder))
    blobs = BlobStore.open(folder / "blobs", limits=limits)
    index = Index.open(folder / "index", limits=limits)
    workers = Workers(limits)
    try:
        yield Pixels(
            blobs=blobs,
            workers=workers,
            renderer=Renderer(blobs, index, workers, limits),
            transcoder=Transcoder(blobs, workers, limits),
        )
    finally:
        await workers.close()
        index.close()
        blobs.close()


def file_of(data_set: bytes, transfer_syntax_uid: str) -> Dataset:
    """Return a data set as pydicom reads it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        is_implicit = transfer_syntax_uid == IMPLICIT
        read = read_dataset(BytesIO(data_set), is_implicit, True)
    read.file_meta = FileMetaDataset()
    read.file_meta.TransferSyntaxUID = transfer_syntax_uid
    return read


def frames_of(data_set: Dataset, **named: Any) -> np.ndarray[Any, Any]:
    """Return all frames as pydicom decodes them, without any change of colours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pixel_array(data_set, **({"raw": True} | named))


def image_of(content: bytes) -> np.ndarray[Any, Any]:
    """Return the pixels of an image file."""
    with Image.open(BytesIO(content)) as image:
        return np.asarray(image)


def made_image(
    pixels: np.ndarray[Any, Any], *, syntax: str = EXPLICIT, stored: int = 0, **attributes: Any
) -> bytes:
    """Return a file with these pixels: (rows, columns), (rows, columns, 3), or more frames with ``NumberOfFrames``."""
    data_set = Dataset()
    data_set.SOPClassUID, data_set.SOPInstanceUID = CT, "2.25.3"
    data_set.StudyInstanceUID, data_set.SeriesInstanceUID = "2.25.1", "2.25.2"
    data_set.PatientName = "Canary^Never"
    frame = pixels[0] if attributes.get("NumberOfFrames") else pixels
    data_set.Rows, data_set.Columns = frame.shape[:2]
    data_set.SamplesPerPixel = frame.shape[2] if frame.ndim > 2 else 1
    data_set.PhotometricInterpretation = "RGB" if frame.ndim > 2 else "MONOCHROME2"
    if frame.ndim > 2:
        data_set.PlanarConfiguration = 0
    data_set.BitsAllocated = 8 * pixels.dtype.itemsize
    data_set.BitsStored = stored or data_set.BitsAllocated
    data_set.HighBit = data_set.BitsStored - 1
    data_set.PixelRepresentation = int(pixels.dtype.kind == "i")
    raw = pixels.tobytes()
    if pixels.dtype.kind == "f":
        data_set.FloatPixelData = raw
    else:
        data_set.PixelData = raw + b"\0" * (len(raw) % 2)
        data_set["PixelData"].VR = "OW" if pixels.dtype.itemsize > 1 else "OB"
    for keyword, value in attributes.items():
        setattr(data_set, keyword, value)
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = syntax
    out = BytesIO()
    pydicom.dcmwrite(out, data_set, enforce_file_format=True)
    return out.getvalue()


def ramp(low: int, high: int, dtype: str = "<i2") -> np.ndarray[Any, Any]:
    """Return a row of all values from low to high, as an image of 16 columns."""
    values = np.arange(low, high + 1)
    return values[: len(values) // 16 * 16].reshape(-1, 16).astype(dtype)


def names(*wanted: str) -> Sequence[Path]:
    """Return files of pydicom's wheel."""
    return [FILES[name] for name in wanted]


def facts_for(array: np.ndarray[Any, Any], **changes: Any) -> dict[str, Any]:
    """Return what a worker is told of native grey pixels."""
    return {
        "rows": array.shape[0],
        "columns": array.shape[1],
        "samples": 1,
        "photometric": "MONOCHROME2",
        "planar": 0,
        "allocated": 8 * array.dtype.itemsize,
        "stored": 8 * array.dtype.itemsize,
        "is_signed": array.dtype.kind == "i",
        "keyword": "PixelData",
        "vr": "OW",
        "syntax": EXPLICIT,
        "is_compressed": False,
        "bit": 0,
    } | changes
