"""Those files of pydicom's wheel that may travel by C-STORE, and how to compare what arrived without printing it."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from doorward.wire.uids import STORAGE_SOP_CLASSES
from doorward_archive import instance_of
from pydicom_files import PATHS


def composite_instances() -> list[Path]:
    """Return the files whose meta information names a storage SOP class and a transfer syntax (PS3.10 section 7.1)."""
    return [
        path
        for path in PATHS.values()
        if (one := instance_of(path)).sop_class_uid in STORAGE_SOP_CLASSES
        and one.transfer_syntax_uid
    ]


def contexts_of(paths: Iterable[Path]) -> list[tuple[str, str]]:
    """Return the pairs of SOP class and transfer syntax that are needed to send the files as they are."""
    instances = map(instance_of, paths)
    return sorted({(one.sop_class_uid, one.transfer_syntax_uid) for one in instances})


def digests(data_sets: Iterable[bytes]) -> Counter[str]:
    """Return data sets by their SHA-256: a failed comparison prints no bytes."""
    return Counter(hashlib.sha256(one).hexdigest() for one in data_sets)
