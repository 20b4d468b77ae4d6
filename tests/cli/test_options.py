"""What options mean that several commands share: a checked value, or one sentence."""

from pathlib import Path

import pytest

from doorward.audit.verdict import Severity
from doorward.cli import options
from doorward.cli.main import run
from doorward.errors import ConfigError, ScopeError
from doorward.limits import DEFAULT_LIMITS


@pytest.mark.parametrize("title", ["A", "STORE SCP", "SIXTEEN_LETTERS_", "  PADDED  "])
def test_an_ae_title_is_taken_without_its_padding(title: str) -> None:
    assert options.ae_title(title, "--called") == title.strip()


@pytest.mark.parametrize("title", ["", "   ", "SEVENTEEN_LETTERS", "A\\B", "Ä", "A\nB", "\x1b[31m"])
def test_what_is_no_ae_title_is_refused_by_the_name_of_the_option(title: str) -> None:
    with pytest.raises(ConfigError, match="--called must be an AE title") as caught:
        options.ae_title(title, "--called")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("level", [1, 2])
def test_documented_logins_need_the_highest_level(level: int) -> None:
    assert options.default_credentials(True, 3)
    assert not options.default_credentials(False, level)
    with pytest.raises(ConfigError, match="needs --level 3"):
        options.default_credentials(True, level)


def test_one_timeout_is_every_wait() -> None:
    assert options.limits_of(None) is DEFAULT_LIMITS
    short = options.limits_of(0.5)
    assert (short.connect_s, short.tls_handshake_s, short.associate_s, short.reply_s) == (0.5,) * 4


def test_a_certificate_needs_its_key_and_files_must_be_there(tmp_path: Path) -> None:
    file = tmp_path / "x.pem"
    file.write_text("")
    options.check_tls_files(None, None, None)
    options.check_tls_files(file, file, file)
    for cert, key in ((file, None), (None, file)):
        with pytest.raises(ConfigError, match="belong together"):
            options.check_tls_files(None, cert, key)
    with pytest.raises(ConfigError, match="cannot be read"):
        options.check_tls_files(tmp_path / "none.pem", None, None)


def test_ports_are_numbers_and_ranges() -> None:
    assert options.ports_of("104,4242-4244") == (104, 4242, 4243, 4244)
    with pytest.raises(ConfigError):
        options.ports_of("dicom")


def test_a_severity_is_known_by_its_name() -> None:
    assert options.severity_of("Critical") is Severity.CRITICAL
    with pytest.raises(ConfigError, match="--fail-on: severity must be one of"):
        options.severity_of("awful")


def test_reports_are_ordered_by_file_or_dash(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    (one,) = options.outputs_of(str(file), None, ())
    assert (one.format, one.file) == ("json", file)
    (one,) = options.outputs_of(None, "-", ())
    assert (one.format, one.file) == ("html", None)
    assert options.outputs_of(None, None, ()) == ()
    with pytest.raises(ConfigError):
        options.outputs_of(str(tmp_path / "none" / "x.json"), None, ())


def test_without_a_scope_file_this_machine_is_all_there_is() -> None:
    scope = options.scope_of(None, 2)
    scope.permit("127.0.0.1", 104)
    with pytest.raises(ScopeError):
        scope.permit("10.0.0.1", 104)


def test_a_scope_that_allows_less_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "scope.toml"
    filled = ["--organisation", "A", "--network", "10.0.0.0/30", "--authorised-by", "B"]
    assert run(["scope", "init", str(file), *filled, "--contact", "c@d.test", "--level", "1"]) == 0
    capsys.readouterr()
    options.scope_of(file, 2).permit("10.0.0.1", 104)
    said = capsys.readouterr().err
    assert said == "doorward: the scope authorises clearance level 1, not 2: using that\n"
    options.scope_of(file, 1)
    assert capsys.readouterr().err == ""


def test_data_and_talk_have_streams_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    options.print_whole("data\n")
    options.say("talk")
    assert capsys.readouterr() == ("data\n", "doorward: talk\n")
