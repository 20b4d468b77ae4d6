"""FTP conversations against scripts: what is said, what is never said, and what answers mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.errors import DoorwardError, PeerProtocolError
from doorward.greetings import ftp
from doorward.greetings.ftp import Entry, FtpManners
from doorward.limits import DEFAULT_LIMITS
from talk import lead, script_of

HOST = "127.0.0.1"
GREETING = b"220 (vsFTPd 3.0.3)\r\n"
FEATURES = b"211-Features:\r\n AUTH TLS\r\n EPSV\r\n211 End\r\n"
NO_FEATURES = b"500 ?\r\n"


def manners(*answers, greeting=GREETING, size=65_536):
    return lead(ftp.manners(DEFAULT_LIMITS), script_of(greeting, answers), size=size)


def anonymous(*answers, greeting=GREETING, size=65_536, **options):
    conversation = ftp.anonymous(DEFAULT_LIMITS, address=HOST, **options)
    return lead(conversation, script_of(greeting, answers), size=size)


LET_IN = ((b"USER", b"331 Password?\r\n"), (b"PASS", b"230-Welcome\r\n ZZCANARY\r\n230 in\r\n"))
EXTENDED = (b"EPSV", b"229 Extended (|||20001|)\r\n")
LISTED = (b"LIST", b"150 here it comes\r\n226 done\r\n")


# --- manners ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "auth", "expected"),
    [
        (b"331 Password?\r\n", b"234 go\r\n", (True, True)),
        (b"331 Password?\r\n", b"500 what\r\n", (True, False)),
        (b"331 Password?\r\n", b"431 not now\r\n", (True, None)),
        (b"530 use encryption\r\n", b"234 go\r\n", (False, True)),
        (b"530 anonymous only\r\n", b"530 login first\r\n", (False, False)),
        (b"421 busy\r\n", b"234 go\r\n", (None, True)),
        (b"230 welcome\r\n", b"502 no\r\n", (True, False)),
    ],
)
@pytest.mark.parametrize("size", [1, 65_536])
def test_manners_are_read_from_codes(user, auth, expected, size):
    talk = manners((b"FEAT", NO_FEATURES), (b"USER", user), (b"AUTH", auth), size=size)
    assert (talk.result.takes_plain_user, talk.result.offers_tls) == expected
    assert (talk.result.product, talk.result.version) == ("vsftpd", "3.0.3")


def test_no_password_is_ever_given_for_the_made_up_user():
    talk = manners((b"FEAT", FEATURES), (b"USER", b"331 Password?\r\n"), (b"AUTH", b"500 no\r\n"))
    assert talk.said == [b"FEAT\r\n", b"USER doorward\r\n", b"AUTH TLS\r\n", b"QUIT\r\n"]


def test_a_server_that_hangs_up_after_the_user_has_named_its_features_before():
    talk = manners(
        (b"FEAT", FEATURES), (b"USER", b"530 Non-anonymous sessions must use encryption.\r\n")
    )
    assert talk.result == FtpManners(
        product="vsftpd", version="3.0.3", offers_tls=True, takes_plain_user=False
    )


def test_inside_tls_nothing_is_asked():
    talk = lead(ftp.manners(DEFAULT_LIMITS, is_secured=True), script_of(GREETING, ()))
    assert talk.said == [b"QUIT\r\n"]
    assert (talk.result.offers_tls, talk.result.takes_plain_user) == (True, False)


@pytest.mark.parametrize(
    ("greeting", "product", "version"),
    [
        (b"220 ProFTPD 1.3.8b Server (ZZCANARY) [127.0.0.1]\r\n", "ProFTPD", "1.3.8b"),
        (b"220 ProFTPD Server (Debian) [::1]\r\n", "ProFTPD", ""),
        (
            b"220---------- Welcome to Pure-FTPd [privsep] [TLS] ----------\r\n220 ok\r\n",
            "Pure-FTPd",
            "",
        ),
        (
            b"220-FileZilla Server 1.8.1\r\n220 Please visit https://example.test/\r\n",
            "FileZilla Server",
            "1.8.1",
        ),
        (b"220 Microsoft FTP Service\r\n", "Microsoft IIS FTP", ""),
        (b"220 pyftpdlib 2.2.0 ready.\r\n", "pyftpdlib", "2.2.0"),
        (b"220 ZZCANARY hospital file server\r\n", "", ""),
    ],
)
def test_only_known_names_are_kept_of_a_greeting(greeting, product, version):
    talk = manners(
        (b"FEAT", NO_FEATURES), (b"USER", b"331 ?\r\n"), (b"AUTH", b"500\r\n"), greeting=greeting
    )
    assert (talk.result.product, talk.result.version) == (product, version)
    assert "ZZCANARY" not in repr(talk.result)


@pytest.mark.parametrize(
    "greeting",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"220 mx.example.test ESMTP Postfix\r\n",
        b"421 too many\r\n",
        b"HTTP/1.1 400\r\n",
        b"220\r\n",
    ],
)
def test_what_does_not_greet_like_ftp_is_none(greeting):
    assert isinstance(manners(greeting=greeting).error, PeerProtocolError)


# --- anonymous --------------------------------------------------------------------------------------------------------


def test_anonymous_lists_the_first_folder_and_nothing_else():
    talk = anonymous(*LET_IN, EXTENDED, LISTED, size=3)
    assert talk.result.entry is Entry.ACCEPTED
    assert talk.result.was_listed
    assert talk.said == [
        b"USER anonymous\r\n",
        b"PASS doorward@\r\n",
        b"EPSV\r\n",
        b"LIST\r\n",
        b"QUIT\r\n",
    ]
    assert [(e.port, e.is_secured) for e in talk.errands] == [(20001, False)]


@pytest.mark.parametrize(
    ("user", "password", "entry"),
    [
        (b"230 in\r\n", None, Entry.ACCEPTED),
        (b"331 ?\r\n", b"530 no\r\n", Entry.REFUSED),
        (b"530 no\r\n", None, Entry.REFUSED),
        (b"530 Anonymous sessions must use encryption.\r\n", None, Entry.NEEDS_TLS),
        (b"522 Policy\r\n", None, Entry.NEEDS_TLS),
        (b"421 too many users\r\n", None, Entry.UNKNOWN),
        (b"331 ?\r\n", b"332 account?\r\n", Entry.UNKNOWN),
    ],
)
def test_answers_to_the_login(user, password, entry):
    talk = anonymous((b"USER", user), (b"PASS", password or b""), EXTENDED, LISTED)
    assert talk.result.entry is entry
    assert bool(talk.errands) is (entry is Entry.ACCEPTED)


@pytest.mark.parametrize(
    ("passive", "port", "elsewhere"),
    [
        (b"227 Entering (127,0,0,1,78,33)\r\n", 20001, False),
        (b"227 Entering (0,0,0,0,78,33).\r\n", 20001, False),
        (b"227 Entering (10,9,8,7,78,33)\r\n", 20001, True),
        (b"227 =127,0,0,1,78,33\r\n", 20001, False),
        (b"227 Entering (127,0,0,1,0,22)\r\n", None, False),
        (b"227 Entering (127,0,0,1,256,1)\r\n", None, False),
        (b"227 nothing\r\n", None, False),
        (b"500 no\r\n", None, False),
    ],
)
def test_the_data_connection_goes_to_no_address_that_the_server_names(passive, port, elsewhere):
    talk = anonymous(*LET_IN, (b"EPSV", b"500 no\r\n"), (b"PASV", passive), LISTED)
    assert [e.port for e in talk.errands] == ([port] if port else [])
    assert talk.result.pointed_elsewhere is elsewhere
    assert talk.result.was_listed is bool(port)


@pytest.mark.parametrize(
    "extended", [b"229 (|||0|)\r\n", b"229 (|||22|)\r\n", b"229 (|||99999|)\r\n"]
)
def test_ports_of_other_services_are_not_dialled(extended):
    talk = anonymous(*LET_IN, (b"EPSV", extended), (b"PASV", b"500 no\r\n"), LISTED)
    assert not talk.errands


def test_a_list_that_is_refused_is_not_listed():
    talk = anonymous(*LET_IN, EXTENDED, (b"LIST", b"550 denied\r\n"))
    assert talk.result.entry is Entry.ACCEPTED
    assert not talk.result.was_listed


def test_a_server_that_hangs_up_after_the_login_has_let_us_in():
    talk = anonymous(*LET_IN)
    assert talk.result.entry is Entry.ACCEPTED
    assert not talk.result.was_listed


def test_inside_tls_the_data_are_protected_too():
    talk = anonymous(
        (b"AUTH", b"234 go\r\n"),
        *LET_IN,
        (b"PBSZ", b"200 ok\r\n"),
        (b"PROT", b"200 ok\r\n"),
        EXTENDED,
        LISTED,
        asks_tls=True,
    )
    assert talk.secured == 1
    assert talk.result.over_tls
    assert talk.errands[0].is_secured


def test_upgrade_asks_for_tls_and_nothing_else():
    talk = lead(ftp.upgrade(DEFAULT_LIMITS), script_of(GREETING, [(b"AUTH", b"234 go\r\n")]))
    assert (talk.said, talk.secured, talk.error) == ([b"AUTH TLS\r\n"], 1, None)
    talk = lead(ftp.upgrade(DEFAULT_LIMITS), script_of(GREETING, [(b"AUTH", b"500 no\r\n")]))
    assert isinstance(talk.error, PeerProtocolError)


# --- bounds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "greeting",
    [b"220-" + b"x" * 100_000, b"220-a\r\n" * 400, b"120 wait\r\n" * 20_000, b"\r\n" * 50_000],
)
def test_endless_greetings_end(greeting):
    assert isinstance(manners(greeting=greeting).error, DoorwardError)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_result_or_an_error_of_ours(greeting):
    for conversation in (ftp.manners(DEFAULT_LIMITS), ftp.anonymous(DEFAULT_LIMITS, address=HOST)):
        talk = lead(conversation, lambda _: greeting)
        assert talk.error is None or isinstance(talk.error, DoorwardError)
