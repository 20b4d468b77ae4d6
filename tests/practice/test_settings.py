"""Settings of practice archives: what is written is started, what is wrong is named by file and field."""

from pathlib import Path

import pytest

from doorward.errors import ConfigError
from doorward.practice import settings
from doorward.practice.settings import from_names, load_settings

WHOLE = """
[[archive]]
persona = "capped-500"
address = "127.0.1.7"
port = 4242
studies = 20000
images = 25
patients = 9000
ae_title = "HEART"
calling_ae_title = "LUNG"
seed = 7
rejections = 2
at_most = 250
images_total = 600001
implementation_class_uid = "1.2.276.0.7230010.3.0.3.6.4"
implementation_version_name = "OFFIS_DCMTK_364"
viewer_port = 8080
listing_port = 8081
web_port = 8082
ftp_port = 21
banner = "nginx/1.10.3"

[[archive]]
persona = "http"
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "practice.toml"
    file.write_text(text)
    return file


def refusal(folder: Path, text: str) -> ConfigError:
    with pytest.raises(ConfigError) as refused:
        load_settings(written(folder, text))
    assert refused.value.file == folder / "practice.toml"
    return refused.value


def test_every_setting_arrives(tmp_path):
    first, second = load_settings(written(tmp_path, WHOLE))
    assert (first.address, first.port) == ("127.0.1.7", 4242)
    assert (first.ae_title, first.calling_ae_title) == ("HEART", "LUNG")
    holding = first.holding
    assert (holding.studies, holding.images_per_study, holding.patients) == (20_000, 25, 9_000)
    assert holding.seed == 7
    assert first.persona.name == "capped-500"
    assert (first.persona.rejections, first.persona.query.at_most) == (2, 250)
    assert holding.images == 600_001
    assert first.persona.implementation_class_uid == "1.2.276.0.7230010.3.0.3.6.4"
    assert first.persona.implementation_version_name == "OFFIS_DCMTK_364"
    assert [(door.port, door.persona.name) for door in first.doors] == [
        *((8080, "viewer"), (8081, "listing"), (8082, "old-web"), (21, "ftp"))
    ]
    assert {door.persona.banner for door in first.doors} == {"nginx/1.10.3"}
    assert second.doors == ()
    assert first.is_dicom
    assert not second.is_dicom
    assert (second.address, second.port) == ("127.0.1.2", 11_112)


def test_every_setting_is_in_the_example_of_the_module():
    example = settings.__doc__ or ""
    assert not [key for key in settings._KEYS if f"    {key} = " not in example]


def test_the_example_of_the_module_can_be_started(tmp_path):
    lines = (settings.__doc__ or "").splitlines()
    example = "\n".join(line for line in lines if line.startswith("    "))
    (archive,) = load_settings(written(tmp_path, example))
    assert archive.persona.query.at_most == 250


@pytest.mark.parametrize(
    ("row", "field", "words"),
    (
        ("studies = 3", "persona", "is missing"),
        ('persona = "opne"', "persona", "no persona 'opne'"),
        ('persona = "open"\nadress = "127.0.0.1"', "adress", "is no setting"),
        ('persona = "open"\naddress = "10.0.0.1"', "address", "is not loopback"),
        ('persona = "open"\naddress = "0.0.0.0"', "address", "is not loopback"),
        ('persona = "open"\naddress = "localhost"', "address", "no numeric address"),
        ('persona = "open"\nport = 65536', "port", "must be 0 to 65535"),
        ('persona = "open"\nport = true', "port", "a whole number"),
        ('persona = "open"\nport = "104"', "port", "a whole number"),
        ("persona = 7", "persona", "a text in quotes"),
        ('persona = "open"\nstudies = -1', "studies", "must be"),
        ('persona = "open"\nstudies = 5\npatients = 6', "patients", "must be 1 to 5"),
        ('persona = "open"\nae_title = "ABCDEFGHIJKLMNOPQ"', "ae_title", "1 to 16"),
        ('persona = "open"\nae_title = "A\\\\B"', "ae_title", "no backslash"),
        ('persona = "open"\nrejections = -1', "rejections", "must be 0"),
        ('persona = "open"\nat_most = -1', "at_most", "must be 0"),
        ('persona = "open"\nimages_total = -1', "images_total", "must be 0"),
        ('persona = "open"\nviewer_port = 70000', "viewer_port", "must be 0"),
        (
            'persona = "open"\nimplementation_class_uid = "1.02"',
            *("implementation_class_uid", "must be a UID"),
        ),
        (
            'persona = "open"\nimplementation_version_name = "MORE_THAN_16_LONG"',
            *("implementation_version_name", "1 to 16"),
        ),
        ('persona = "open"\nbanner = "a\\nb"', "banner", "printable"),
    ),
)
def test_wrong_setting_is_named(tmp_path, row, field, words):
    error = refusal(tmp_path, f"[[archive]]\n{row}\n")
    assert error.field == f"archive 1: {field}"
    assert words in str(error)


def test_misspelt_persona_is_guessed(tmp_path):
    assert "'open'" in (refusal(tmp_path, '[[archive]]\npersona = "opne"').hint or "")


@pytest.mark.parametrize(
    ("text", "words"),
    (
        ("", "names no archive"),
        ("[archive]\npersona = 'open'", "names no archive"),
        ("archive = 3", "names no archive"),
        ("[[archiv]]\npersona = 'open'", "is no setting"),
        ("[[archive", "is no TOML"),
        ("\udcff", "is no TOML"),
    ),
)
def test_file_that_is_none_is_refused(tmp_path, text, words):
    file = tmp_path / "practice.toml"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError, match=words):
        load_settings(file)


def test_missing_file_is_one_clear_line(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(tmp_path / "none.toml")


def test_endless_file_is_not_read_to_its_end():
    with pytest.raises(ConfigError, match="longer than"):
        load_settings(Path("/dev/zero"))


def test_one_place_is_given_to_one_archive(tmp_path):
    row = '[[archive]]\npersona = "open"\naddress = "127.0.0.1"\n'
    assert "given to two" in str(refusal(tmp_path, row * 2))
    assert len(load_settings(written(tmp_path, (row + "port = 0\n") * 2))) == 2


def test_doors_of_one_archive_do_not_stand_in_one_place(tmp_path):
    row = '[[archive]]\npersona = "open"\nport = 8080\nviewer_port = 8080\n'
    assert "given to two" in str(refusal(tmp_path, row))


def test_names_get_an_address_and_a_seed_each():
    archives = from_names(["open", "tls", "open"], studies=10)
    assert [a.address for a in archives] == ["127.0.1.1", "127.0.1.2", "127.0.1.3"]
    assert {a.port for a in archives} == {11_112}
    assert len({a.holding.seed for a in archives}) == 3
    assert archives[0].holding.patients == 4


def test_names_share_one_address_where_a_port_is_given():
    archives = from_names(["open", "tls"], port_base=15_000)
    assert [(a.address, a.port) for a in archives] == [("127.0.0.1", 15_000), ("127.0.0.1", 15_001)]


def test_ports_end_somewhere():
    with pytest.raises(ConfigError, match="must be 0 to 65535"):
        from_names(["open", "tls"], port_base=65_535)


@pytest.mark.parametrize(("studies", "patients"), ((0, 0), (1, 1), (2, 1), (1_234, 493)))
def test_patients_follow_from_studies(studies, patients):
    (archive,) = from_names(["open"], studies=studies)
    assert archive.holding.patients == patients
