"""A user identity counts inside TLS only, beside a known device only, and only as long as both are known."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from archives import device, fingerprint, found, legacy, opened, proposal_of, records, served
from certificates import make_certificates
from doorward.access.identity import How, Operation, Person, Register, Service
from doorward.access.journal.record import Event
from doorward.errors import AssociationAborted, AssociationRejected
from doorward.net.client import associate
from doorward.net.tls import client_context, server_context
from doorward.wire.pdu import IdentityType, UserIdentity
from loopback import HOST, OpenGate, in_loop, limits, until

ANNA = Person(name="anna", role="reader")
ROBOT = Service(name="robot", role="workstation")
SECRET = b"a long passcode of anna's"
REFUSED = (1, 2, 1)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def register(certificates):
    mine = (fingerprint(certificates.client),)
    ws1 = device("ws1", "workstation", fingerprints=mine)
    return Register(devices=(ws1, legacy("old", "workstation")), persons=(ANNA,), services=(ROBOT,))


class Desk:
    """Knows one passcode and one token; waits where it is told to."""

    def __init__(self, archive):
        self.archive = archive
        self.asked = []
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.expires_at = None

    async def identify(self, shown, address):
        self.asked.append((shown.type, address))
        await self.may_go_on.wait()
        if (shown.type, shown.primary, shown.secondary) == (2, b"anna", SECRET):
            return self.anna
        if (shown.type, shown.primary) == (5, b"a.b.c"):
            return self.robot
        return None

    def anna(self):
        return self.archive.settings.register.by_name("anna", how=How.PASSWORD)

    def robot(self):
        robot = self.archive.settings.register.by_name("robot", how=How.TOKEN)
        return robot.narrowed(scope={Operation.QUERY}, expires_at=self.expires_at)


@asynccontextmanager
async def desk(folder, certificates, register, *, tls=True, takes=True, **named):
    own = certificates.server
    context = server_context(
        own.certificate_path,
        own.key_path,
        client_authorities=certificates.authority.certificate_path,
        asks_only=True,
    )
    async with opened(folder, takes_user_identity=takes, **named) as archive:
        archive.use(register=register)
        one = Desk(archive)
        archive.services.callers.identify_user = one.identify
        async with served(archive, tls=context if tls else None, is_legacy=not tls) as port:
            one.port = port
            yield one


def shown(kind=IdentityType.USERNAME_AND_PASSCODE, primary=b"anna", secondary=SECRET, *, asks=True):
    return UserIdentity(type=kind, response_requested=asks, primary=primary, secondary=secondary)


@asynccontextmanager
async def calling(one, certificates, user=None, *, by=None, tls=True, title="WS1"):
    context = None
    if tls:
        context = client_context(
            authorities=certificates.authority.certificate_path,
            certificate=by.certificate_path if by else None,
            key=by.key_path if by else None,
        )
    asked = replace(proposal_of(title), user_identity=user)
    async with associate(HOST, one.port, asked, gate=OpenGate(), tls=context) as requestor:
        yield requestor


async def rejection(one, certificates, user, **how):
    with pytest.raises(AssociationRejected) as raised:
        async with calling(one, certificates, user, **how):
            pass
    return raised.value.result, raised.value.source, raised.value.reason


def entries(folder, *events):
    return [one.entry for one in records(folder) if one.entry.event in events]


async def study_status(requestor):
    status, _ = await found(requestor, "STUDY", StudyInstanceUID="")
    return status


@in_loop
async def test_a_person_without_a_device_has_their_own_rights(tmp_path, certificates, register):
    async with (
        desk(tmp_path, certificates, register) as one,
        calling(one, certificates, shown()) as anna,
    ):
        assert anna.accept.user_information.user_identity_response == b""
        assert await study_status(anna) == 0
        assert await anna.echo() == 0x0124, "a reader sends no C-ECHO"
    login, begun = entries(tmp_path, Event.LOGIN, Event.ASSOCIATION_OPENED)
    assert (login.identity, login.how) == ("anna", "password")
    assert (begun.identity, begun.subject) == ("anna", "anna")


@in_loop
async def test_a_person_at_a_device_has_the_rights_of_the_device_and_the_journal_names_both(
    tmp_path, certificates, register
):
    async with (
        desk(tmp_path, certificates, register) as one,
        calling(one, certificates, shown(asks=False), by=certificates.client) as station,
    ):
        assert station.accept.user_information.user_identity_response is None
        assert await station.echo() == 0
        assert await study_status(station) == 0
    [query] = entries(tmp_path, Event.QUERY)
    assert (query.identity, query.how, query.subject) == ("ws1", "certificate", "anna")


@in_loop
async def test_a_token_is_good_for_what_it_says_and_no_longer(tmp_path, certificates, register):
    now = datetime(2026, 1, 2, tzinfo=UTC)
    async with desk(tmp_path, certificates, register, now=lambda: now) as one:
        one.expires_at = now + timedelta(minutes=1)
        token = shown(IdentityType.JWT, b"a.b.c", b"")
        async with calling(one, certificates, token) as robot:
            assert await study_status(robot) == 0
            assert await robot.echo() == 0x0124
            now += timedelta(minutes=2)
            assert await study_status(robot) == 0x0124
        one.expires_at = now
        assert await rejection(one, certificates, token) == (1, 1, 3)


@in_loop
@pytest.mark.parametrize(
    "user",
    [
        shown(secondary=b"another passcode"),
        shown(primary=b"nobody"),
        shown(IdentityType.JWT, b"x.y.z", b""),
        shown(IdentityType.USERNAME, b"anna", b""),
        shown(IdentityType.KERBEROS, b"anna", b""),
        shown(IdentityType.SAML, b"anna", b""),
        shown(9, b"anna", SECRET),
    ],
    ids=lambda user: f"type {user.type}",
)
@pytest.mark.parametrize("is_at_device", [False, True])
async def test_what_proves_nobody_is_refused_also_at_a_device_that_is_known(
    tmp_path, certificates, register, user, is_at_device
):
    by = certificates.client if is_at_device else None
    async with desk(tmp_path, certificates, register) as one:
        assert await rejection(one, certificates, user, by=by) == REFUSED
        assert [kind for kind, _ in one.asked] == [user.type] * (user.type in (2, 5))
    failed = entries(tmp_path, Event.LOGIN_FAILED)
    refused = entries(tmp_path, Event.ASSOCIATION_REFUSED)
    assert len(failed) == (user.type in (2, 5))
    assert [one.identity for one in refused] == ["ws1" if is_at_device else ""]
    assert "anna" not in repr(failed + refused)


@in_loop
async def test_a_certificate_that_nobody_knows_is_not_helped_by_a_passcode(
    tmp_path, certificates, register
):
    strangers = replace(register, devices=())
    async with desk(tmp_path, certificates, strangers) as one:
        assert await rejection(one, certificates, shown(), by=certificates.client) == (1, 1, 3)
        assert one.asked == [], "and may not guess"


@in_loop
async def test_a_passcode_outside_tls_is_refused_unlooked_at(tmp_path, certificates, register):
    async with desk(tmp_path, certificates, register, tls=False) as one:
        seen = await rejection(one, certificates, shown(), tls=False, title="OLD")
        assert seen == REFUSED
        assert one.asked == []
    [refused] = entries(tmp_path, Event.ASSOCIATION_REFUSED)
    assert refused.reason == "a user identity outside TLS"


@in_loop
async def test_where_the_settings_do_not_ask_a_user_identity_is_passed_over(
    tmp_path, certificates, register
):
    async with desk(tmp_path, certificates, register, takes=False) as one:
        assert await rejection(one, certificates, shown()) == (1, 1, 3)
        async with calling(one, certificates, shown(), by=certificates.client) as station:
            assert station.accept.user_information.user_identity_response is None
            assert await station.echo() == 0
        assert one.asked == []


@in_loop
async def test_too_many_logins_at_once_are_sent_away_for_a_while(tmp_path, certificates, register):
    bounds = limits(user_identities_per_peer=1)
    async with desk(tmp_path, certificates, register, limits=bounds) as one:
        one.may_go_on.clear()

        async def login():
            async with calling(one, certificates, shown()):
                pass

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(login())
            await until(lambda: one.asked)
            assert await rejection(one, certificates, shown()) == (2, 3, 1)
            async with calling(one, certificates, by=certificates.client) as station:
                assert await station.echo() == 0, "others are served meanwhile"
            one.may_go_on.set()
        await login()


@in_loop
async def test_whoever_hangs_up_during_the_login_leaves_nothing_behind(
    tmp_path, certificates, register
):
    async with desk(tmp_path, certificates, register) as one:
        one.may_go_on.clear()

        async def login():
            async with calling(one, certificates, shown()):
                pass

        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(login())
            await until(lambda: one.asked)
            waiting.cancel()
        callers = one.archive.services.callers
        await until(lambda: not callers._looked_at)
        one.may_go_on.set()
        assert callers._standing == {}


# --- revoked --------------------------------------------------------------------------------------------------------


@in_loop
@pytest.mark.parametrize("name", ["anna", "ws1"])
async def test_both_must_stay_known(tmp_path, certificates, register, name):
    async with (
        desk(tmp_path, certificates, register) as one,
        calling(one, certificates, shown(), by=certificates.client) as station,
    ):
        assert await station.echo() == 0
        one.archive.use(register=register.without(name))
        assert await station.echo() == 0x0124
        assert one.archive.services.end_revoked() == 1
        with pytest.raises(AssociationAborted):
            await station.echo()
    [closed] = entries(tmp_path, Event.ASSOCIATION_CLOSED)
    assert (closed.identity, closed.subject) == ("ws1", "anna")
    assert closed.reason == "revoked, or expired"


@in_loop
async def test_only_associations_of_the_revoked_are_ended(tmp_path, certificates, register):
    async with (
        desk(tmp_path, certificates, register) as one,
        calling(one, certificates, shown()) as anna,
        calling(one, certificates, by=certificates.client) as station,
    ):
        services = one.archive.services
        assert services.end_revoked() == 0
        one.archive.use(register=register.without("anna"))
        assert services.end_revoked() == 1
        await anna.connection.wait_closed()
        assert await station.echo() == 0
        assert services.end_revoked() == 0


@in_loop
async def test_whoever_is_revoked_during_the_login_is_not_let_in(tmp_path, certificates, register):
    async with desk(tmp_path, certificates, register) as one:
        one.archive.use(register=register.without("anna"))
        assert await rejection(one, certificates, shown()) == REFUSED


@in_loop
async def test_the_association_of_an_identity_that_has_expired_is_ended(
    tmp_path, certificates, register
):
    now = datetime(2026, 1, 2, tzinfo=UTC)
    [ws1, *_] = register.devices
    boxed = Register(devices=(replace(ws1, expires_at=now + timedelta(minutes=1)),))
    async with (
        desk(tmp_path, certificates, boxed, now=lambda: now) as one,
        calling(one, certificates, by=certificates.client) as station,
    ):
        assert one.archive.services.end_revoked() == 0
        now += timedelta(minutes=2)
        assert one.archive.services.end_revoked() == 1
        await station.connection.wait_closed()
