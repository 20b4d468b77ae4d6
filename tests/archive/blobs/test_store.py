"""The store as a whole: what is put in comes out, also after it was closed."""

import asyncio
import stat

import pytest

from blob_stores import content, digest_of, files_in, get, in_store, opened, put
from doorward.errors import UsageError
from doorward.limits import DEFAULT_LIMITS


def test_what_was_stored_is_there_in_the_next_life(tmp_path):
    folder = tmp_path / "store"
    blob = in_store(folder, lambda store: put(store, content(1)))
    assert in_store(folder, lambda store: get(store, blob.digest)) == content(1)


def test_with_the_bounds_of_every_day_too(tmp_path):
    whole = content(1, 3_000_000)
    with opened(tmp_path / "store", limits=DEFAULT_LIMITS) as store:
        blob = asyncio.run(put(store, whole, fragment=131_060))
        assert asyncio.run(get(store, blob.digest)) == whole


def test_a_blob_lies_under_its_hash_for_us_alone(tmp_path):
    in_store(tmp_path, lambda store: put(store, content(1)))
    digest = digest_of(content(1))
    [file] = files_in(tmp_path)
    assert file == tmp_path / "blobs" / digest[:2] / digest
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_whether_a_blob_is_there_can_be_asked(tmp_path):
    with opened(tmp_path) as store:
        blob = asyncio.run(put(store, b""))
        assert blob.digest == digest_of(b"")
        assert store.has(blob.digest)
        assert not store.has(digest_of(b"other"))
        with pytest.raises(UsageError):
            store.has("../lock")
