"""Databases as a stranger meets them: real ones in open and shut forms, scripted ones where Debian has none."""

import asyncio
import json
import re
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from certificates import make_certificates
from database_forms import LDAP, MARIADB, POSTGRESQL, REDIS
from database_servers import CANARY, cluster, make_mariadb, make_postgresql
from doorward.audit.approach import Approach, Pace, attempt
from doorward.audit.facts import Endpoint, Outcome, SystemFacts
from doorward.audit.judge import judge
from doorward.audit.probes import databases
from doorward.audit.scope import Scope
from doorward.audit.verdict import Verdict
from doorward.errors import ConnectFailed, ConnectTimeout
from doorward.greetings.conversation import Access
from doorward.net.tls import server_context
from loopback import HOST, in_loop, limits
from scripted_peer import scripted_peer

CORPUS = Path(__file__).resolve().parent.parent.parent / "fuzz" / "corpus" / "greetings"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
#: Real servers differ in which of these they answer at all; none may say anything else about an open port.
OURS = {"db_port_reachable", "db_no_password", "db_tls_missing", "db_default_account_open"}
OURS |= {"ldap_anonymous_bind"}


def approach(port, **bounds):
    return Approach(
        endpoint=Endpoint(address=HOST, port=port),
        gate=Scope.loopback(),
        pace=Pace(0.0),
        limits=limits(**({"tls_handshake_s": 2.0} | bounds)),
    )


def asked(port, protocol, *, tries=False):
    ask = databases.asker(protocol, try_default_account=tries)
    return asyncio.run(attempt("databases", approach(port), ask))


def failing(made):
    judged = judge(SystemFacts(address=HOST, name="", clearance_level=3, attempts=(made,)), now=NOW)
    found = [f for f in judged.findings if f.check in OURS]
    assert CANARY not in repr(judged), "a name was brought home"
    assert Verdict.INCONCLUSIVE not in {f.verdict for f in found}
    return {f.check for f in found if f.verdict is Verdict.FAIL}


@contextmanager
def prepared(make=None):
    with cluster() as folder:
        if make is not None:
            make(folder)
        yield folder


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def for_postgresql():
    with prepared(make_postgresql) as folder:
        yield folder


@pytest.fixture(scope="module")
def for_mariadb():
    with prepared(make_mariadb) as folder:
        yield folder


@pytest.fixture
def folder():
    with prepared() as made:
        yield made


def judged_as_it_must_be(form, folder, certificates):
    with form.start(folder, certificates) as port:
        made = asked(port, form.protocol, tries=form.tries_default_account)
    assert made.outcome is Outcome.ANSWERED, made.reason
    assert made.facts.is_recognised
    assert made.connections <= 3
    assert failing(made) == form.fails | {"db_port_reachable"}
    assert CANARY not in json.dumps(asdict(made), default=str)
    return made.facts


@pytest.mark.interop
@pytest.mark.peer("postgresql")
@pytest.mark.parametrize("form", POSTGRESQL, ids=lambda form: form.name)
def test_postgresql_is_judged_as_it_is(form, for_postgresql, certificates):
    judged_as_it_must_be(form, for_postgresql, certificates)
    log = (for_postgresql / "log").read_text()
    assert "user=doorward database=doorward" in log or "connection received" in log
    assert "statement:" not in log, "a query was sent"
    assert "connection authorized" not in log.replace("connection authorized: user=doorward", "")


@pytest.mark.interop
@pytest.mark.peer("mariadb")
@pytest.mark.parametrize("form", MARIADB, ids=lambda form: form.name)
def test_mariadb_is_judged_as_it_is(form, for_mariadb, certificates):
    log = for_mariadb / "maria.log"
    log.unlink(missing_ok=True)
    facts = judged_as_it_must_be(form, for_mariadb, certificates)
    assert facts.product == "MariaDB"
    assert facts.version.count(".") == 2
    lines = log.read_text().splitlines()
    users = set(re.findall(r"(?:Connect\t|for user ')(\w+)@", log.read_text().replace("'@", "@")))
    assert users <= {"doorward", "root"}
    assert ("root" in users) is form.tries_default_account
    asked_for = [one.partition("\tQuery\t")[2] for one in lines if "\tQuery\t" in one]
    assert not [query for query in asked_for if not query.startswith(("ALTER", "CREATE", "DROP"))]


@pytest.mark.interop
@pytest.mark.peer("redis")
@pytest.mark.parametrize("form", REDIS, ids=lambda form: form.name)
def test_redis_is_judged_as_it_is(form, folder, certificates):
    facts = judged_as_it_must_be(form, folder, certificates)
    assert facts.product == "Redis"
    assert bool(facts.version) is ("db_no_password" in form.fails)


@pytest.mark.interop
@pytest.mark.peer("slapd")
@pytest.mark.parametrize("form", LDAP, ids=lambda form: form.name)
def test_slapd_is_judged_as_it_is(form, folder, certificates):
    judged_as_it_must_be(form, folder, certificates)
    log = (folder / "log").read_text()
    searches = [line for line in log.splitlines() if " SRCH base=" in line]
    assert searches
    assert all('SRCH base="" scope=0' in line for line in searches), "more than the root entry"


# --- without a real one -----------------------------------------------------------------------------------------------


@in_loop
async def test_a_closed_port_is_an_answer():
    async with scripted_peer(lambda call: call.until_gone()) as peer:
        port = peer.port
    outcome, _, facts = await databases.asker("postgresql")(approach(port))
    assert (outcome, facts.is_open) == (Outcome.ANSWERED, False)


async def answer_of(script, protocol, **bounds):
    async with scripted_peer(script, tls=bounds.pop("tls", None)) as peer:
        answered = await databases.asker(protocol)(approach(peer.port, **bounds))
        return *answered, len(peer.calls)


@pytest.mark.parametrize("protocol", sorted(databases.PROTOCOLS - {"ldaps"}))
@in_loop
async def test_silence_is_no_answer(protocol):
    async def script(call):
        await call.reader.read()

    outcome, reason, facts, _ = await answer_of(
        script, protocol, greeting_s=0.05, http_head_s=0.05, tls_handshake_s=0.05
    )
    assert outcome is Outcome.INCONCLUSIVE
    assert reason
    assert not facts.is_recognised


@pytest.mark.parametrize("protocol", sorted(databases.PROTOCOLS - {"ldaps"}))
@in_loop
async def test_a_port_that_hangs_up_is_no_answer(protocol):
    async def script(call):
        if protocol != "mysql":  # there the server speaks first
            await call.reader.read(1)

    outcome, reason, facts, _ = await answer_of(script, protocol)
    assert (outcome, facts.is_recognised) == (Outcome.INCONCLUSIVE, False)
    assert reason == "the port is open and hung up without an answer"


@pytest.mark.parametrize("protocol", sorted(databases.PROTOCOLS - {"ldaps", "elasticsearch"}))
@in_loop
async def test_a_web_server_is_no_database(protocol):
    async def script(call):
        await call.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" + bytes(99))
        await call.reader.read()

    outcome, reason, facts, calls = await answer_of(script, protocol)
    assert (outcome, reason) == (Outcome.ANSWERED, "the port is open and speaks something else")
    assert not facts.is_recognised
    assert calls <= 2


@in_loop
async def test_a_port_that_nobody_expects_a_database_on_is_not_asked():
    outcome, reason, facts = await databases.ask(approach(104))
    assert (outcome, facts) == (Outcome.NOT_TESTED, None)
    assert reason


class Refused:
    def permit(self, address, port):
        raise ConnectFailed("nothing listens there", kind="refused")


@pytest.mark.parametrize("port", (5432, 3306, 1433, 1521, 27017, 6379, 9200, 389, 636))
@in_loop
async def test_the_port_chooses_the_protocol(port):
    closed = approach(port)
    closed.gate = Refused()
    outcome, _, facts = await databases.ask(closed)
    assert (outcome, facts.is_open) == (Outcome.ANSWERED, False)
    assert facts.protocol in databases.PROTOCOLS - {"ldaps"}


class Filtered:
    def permit(self, address, port):
        raise ConnectTimeout("no answer")


@in_loop
async def test_a_filtered_port_stays_unknown():
    behind = approach(5432)
    behind.gate = Filtered()
    made = await attempt("databases", behind, databases.ask)
    assert (made.outcome, made.facts) == (Outcome.INCONCLUSIVE, None)


# --- SQL Server, Oracle, MongoDB, Elasticsearch: bytes from their documentation -----------------------------------------


def saying(*answers):
    async def script(call):
        for answer in answers:
            await call.reader.read(4_096)
            await call.send(answer)
        await call.reader.read()

    return script


PRELOGIN = bytes.fromhex("04 01 001a 0000 0100 00 000b 0006 01 0011 0001 ff 10 00 0ff5 0000 02")
REFUSE = b"\x00\x3d\0\0\x04\0\0\0\x22\0\0\x31(DESCRIPTION=(TMP=)(VSNNUM=318767104)(ERR=1189)) "


@in_loop
async def test_sql_server_shows_its_encryption_but_not_its_passwords():
    outcome, _, facts, calls = await answer_of(saying(PRELOGIN), "mssql")
    assert (outcome, calls) == (Outcome.ANSWERED, 1)
    assert (facts.product, facts.version) == ("SQL Server 2022", "16.0.4085")
    assert (facts.offers_tls, facts.plain) == (False, Access.UNKNOWN)


@in_loop
async def test_the_oracle_listener_names_its_version():
    _, _, facts, _ = await answer_of(saying(REFUSE), "oracle")
    assert (facts.product, facts.version, facts.code) == ("Oracle listener", "19.0.0.0.0", "1189")


def mongo(document, kind):
    before = bytes(20) if kind == 1 else bytes(5)
    whole = before + len(document + b"\0" * 5).to_bytes(4, "little") + document + b"\0"
    head = b"".join(n.to_bytes(4, "little") for n in (16 + len(whole), 1, 1, kind))
    return head + whole


HELLO = mongo(b"\x08ismaster\0\x01\x10maxWireVersion\0\x15\0\0\0", 1)
BUILD = mongo(b"\x02version\0\x06\0\0\x007.0.8\0\x10ok\0\x01\0\0\0", 2013)
OPEN = mongo(b"\x08quiet\0\0\x10ok\0\x01\0\0\0", 2013)
SHUT = mongo(b"\x10ok\0\0\0\0\0\x10code\0\x0d\0\0\0", 2013)


@pytest.mark.parametrize(("last", "access"), ((OPEN, Access.OPEN), (SHUT, Access.DEMANDED)))
@in_loop
async def test_mongodb_is_open_where_strangers_may_give_commands(last, access):
    """The second connection is a TLS handshake: some servers take both."""

    async def script(call):
        if call.number:
            return
        await saying(HELLO, BUILD, last)(call)

    _, _, facts, calls = await answer_of(script, "mongodb")
    assert (facts.plain, facts.version, facts.offers_tls, calls) == (access, "7.0.8", False, 2)


@in_loop
async def test_mongodb_behind_tls_is_asked_inside(certificates):
    context = server_context(certificates.server.certificate_path, certificates.server.key_path)
    _, _, facts, _ = await answer_of(saying(HELLO, BUILD, SHUT), "mongodb", tls=context)
    assert (facts.plain, facts.secured, facts.offers_tls) == (None, Access.DEMANDED, True)


PAGE = b'{"cluster_name": "CANARY", "version": {"number": "8.13.4", "lucene_version": "9"}}'


def web(status, head=b"", body=b""):
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    return saying(b"HTTP/1.1 " + status + b"\r\n" + head + length + body)


@pytest.mark.parametrize(
    ("script", "access"),
    (
        (web(b"200 OK", b"Content-Type: application/json\r\n", PAGE), Access.OPEN),
        (
            web(b"401 Unauthorized", b'WWW-Authenticate: Basic realm="security"\r\n'),
            Access.DEMANDED,
        ),
    ),
)
@in_loop
async def test_elasticsearch_is_asked_for_its_first_page_only(script, access):
    outcome, _, facts, calls = await answer_of(script, "elasticsearch")
    assert (outcome, calls) == (Outcome.ANSWERED, 1)
    assert (facts.plain, facts.offers_tls) == (access, False)
    assert "CANARY" not in repr(facts)


@in_loop
async def test_elasticsearch_behind_tls_is_asked_inside(certificates):
    context = server_context(certificates.server.certificate_path, certificates.server.key_path)
    page = web(b"200 OK", body=PAGE)
    _, _, facts, _ = await answer_of(page, "elasticsearch", tls=context)
    assert (facts.plain, facts.secured, facts.offers_tls) == (None, Access.OPEN, True)


@in_loop
async def test_another_web_server_on_its_port_is_no_elasticsearch():
    outcome, _, facts, _ = await answer_of(web(b"200 OK", body=b"<html>"), "elasticsearch")
    assert (outcome, facts.is_recognised) == (Outcome.ANSWERED, False)


# --- what fails half way ----------------------------------------------------------------------------------------------


@in_loop
async def test_what_tls_showed_is_kept_when_plain_text_meets_silence(certificates):
    async def script(call):
        if call.number:
            return
        await call.take(8)
        await call.send(b"S")
        credential = certificates.server
        await call.writer.start_tls(
            server_context(credential.certificate_path, credential.key_path)
        )
        await call.reader.read(400)
        await call.send(b"R\0\0\0\x08\0\0\0\x05")
        await call.reader.read()

    _, _, facts, _ = await answer_of(script, "postgresql")
    assert (facts.secured, facts.plain) == (Access.DEMANDED, Access.UNKNOWN)


@in_loop
async def test_a_handshake_that_fails_leaves_the_inside_unknown():
    async def script(call):
        if call.number == 0:
            await call.take(8)
            await call.send(b"S")
            await call.take(1)
            return
        await call.reader.read(400)
        await call.send(b"R\0\0\0\x08\0\0\0\x05")
        await call.reader.read()

    _, _, facts, _ = await answer_of(script, "postgresql")
    assert (facts.secured, facts.plain, facts.offers_tls) == (
        Access.UNKNOWN,
        Access.DEMANDED,
        True,
    )


@in_loop
async def test_an_account_that_gets_no_answer_stays_unknown():
    recorded = (CORPUS / "mariadb-password").read_bytes()[2:]
    end = 4 + int.from_bytes(recorded[:3], "little")

    async def script(call):
        if call.number:
            return
        await call.send(recorded[:end])
        await call.reader.read(400)
        await call.send(recorded[end:])
        await call.reader.read()

    async with scripted_peer(script) as peer:
        ask = databases.asker("mysql", try_default_account=True)
        _, _, facts = await ask(approach(peer.port))
        assert len(peer.calls) == 2
    assert (facts.plain, facts.default_account) == (Access.DEMANDED, Access.UNKNOWN)


def test_facts_can_be_written_down():
    facts = databases.DatabaseFacts(protocol="redis", plain=Access.OPEN)
    assert json.loads(json.dumps(asdict(replace(facts, product="Redis"))))["plain"] == "open"
