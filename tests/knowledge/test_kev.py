"""The catalogue of exploited ids: kept by id and day, refused where it is broken or cut off."""

import pytest

from doorward.errors import ConfigError
from knowledge_files import KEV, changed, read


def test_ids_and_days_are_kept():
    update = read(KEV)
    assert update.exploited == {
        "CVE-2099-10001": "2026-11-19",
        "CVE-2025-0896": "2026-11-01",
        "CVE-2099-99999": "2026-10-30",
    }
    where = update.provenance
    assert (where.kind, where.document, where.released) == ("kev", "2026.11.20", "2026-11-20")
    assert (where.read, where.kept, where.publisher) == (3, 3, "CISA")


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("/count", 4, "/count"),
        ("/count", ..., "/count"),
        ("/dateReleased", "20th of November", "/dateReleased"),
        ("/catalogVersion", 7, "/catalogVersion"),
        ("/catalogVersion", "x" * 33, "/catalogVersion"),
        ("/vulnerabilities", ..., "/vulnerabilities"),
        ("/vulnerabilities", {}, "/vulnerabilities"),
        ("/vulnerabilities/1/cveID", "2025-0896", "/vulnerabilities/1/cveID"),
        ("/vulnerabilities/2/dateAdded", ..., "/vulnerabilities/2/dateAdded"),
        ("/vulnerabilities/0", "CVE-2099-10001", "/vulnerabilities/0"),
    ],
)
def test_what_breaks_the_form_is_refused_with_its_path(path, value, field):
    with pytest.raises(ConfigError) as error:
        read(changed(KEV, path, value))
    assert error.value.field == field
    assert error.value.file.name == "given.file"
