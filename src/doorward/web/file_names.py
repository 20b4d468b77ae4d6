"""How many names of a folder look like images: counted, never kept.

A name is looked at once, in the buffer of whoever read it, and forgotten: files of an archive are called after patients
often enough. Two kinds are told apart from the rest: names that DICOM files have (extension, UID, DICOMDIR, the names that
modalities write on media) and bare numbers, which many archives use for folders and files and others use too.
"""

import re
from dataclasses import dataclass

#: .dcm is what RFC 3240 section 3 recommends; .ima and .dc3 are old habits of makers of modalities.
_EXTENSION = rb".*\.(?:dcm|dicom|dic|dc3|ima)(?:\.gz|\.zip)?"
#: A UID (PS3.5 section 9.1) of at least five components: below stand version numbers and addresses.
_UID = rb"[0-2](?:\.(?:0|[1-9][0-9]{0,38})){5,31}"
#: PS3.10 section 8.6 and 8.2: DICOMDIR, and file IDs of at most eight characters; the prefixes are those of modalities.
_FILE_ID = rb"DICOMDIR|(?:IM|IMA|IMG|IMAGE|I|MR|CT|CR|DX|US|XA|NM|PT|MG|SC)[_.-]?[0-9]{3,10}"
_DICOM = re.compile(
    rb"(?:" + rb"|".join((_EXTENSION, _UID, _FILE_ID)) + rb")\Z", re.IGNORECASE | re.DOTALL
)
_NUMBER = re.compile(rb"[0-9]{1,16}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderShape:
    """What one folder holds, in numbers."""

    #: Files and folders, without the folder itself and the way up.
    entries: int = 0
    folders: int = 0
    #: Names that DICOM files have; a folder with such a name counts too.
    dicom_names: int = 0
    #: Names that are a number and nothing else.
    number_names: int = 0


class FolderCount:
    """Counts the names of one folder."""

    __slots__ = ("_dicom_names", "_entries", "_folders", "_number_names")

    def __init__(self) -> None:
        self._entries = self._folders = self._dicom_names = self._number_names = 0

    def add(self, name: memoryview, *, is_folder: bool) -> None:
        """Look at one name, which is not kept."""
        self._entries += 1
        self._folders += is_folder
        if _DICOM.match(name) is not None:
            self._dicom_names += 1
        elif _NUMBER.match(name) is not None:
            self._number_names += 1

    @property
    def entries(self) -> int:
        """How many names came so far."""
        return self._entries

    def shape(self) -> FolderShape:
        """Return the numbers."""
        return FolderShape(
            entries=self._entries,
            folders=self._folders,
            dicom_names=self._dicom_names,
            number_names=self._number_names,
        )
