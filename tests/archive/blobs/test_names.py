"""A name is the SHA-256 of the content and nothing else."""

import pytest

from doorward.archive.blobs.names import FOLDERS, checked, is_digest, new_hash
from doorward.errors import UsageError

NAME = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_name_of_abc_is_the_one_of_the_standard():
    seen = new_hash()
    seen.update(b"abc")
    assert seen.hexdigest() == NAME == checked(NAME)


@pytest.mark.parametrize(
    "name", ("", NAME[:-1], NAME + "0", NAME.upper(), "../" + NAME, NAME + "\n", "1.2.840.10008.1")
)
def test_what_is_no_digest_never_becomes_a_path(name):
    assert not is_digest(name)
    with pytest.raises(UsageError) as caught:
        checked(name)
    assert name not in str(caught.value) or not name


def test_every_digest_has_one_of_256_folders():
    assert len(set(FOLDERS)) == 256
    assert {NAME[:2], "00", "ff"} <= set(FOLDERS)
