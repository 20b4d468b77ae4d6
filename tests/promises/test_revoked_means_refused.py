"""Promise 6: revoked means refused within a second, on both doors, whatever is going on: a real archive, its real commands."""

import asyncio
import http.client
import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from archive_commands import PASSWORD, Process, archive_process
from archive_folders import NOW, calling_context, ct1, ephemeral, made
from archives import SYNTAXES, identifier, instance, proposal_of
from doorward.access import totp
from doorward.access.identity import Operation, Person, Role, Service
from doorward.access.journal.reading import show
from doorward.access.journal.record import Event, Outcome
from doorward.archive.running.folder import Folder
from doorward.archive.running.persons import add_person, issue_token, set_password
from doorward.cli.main import run
from doorward.errors import AssociationAborted, AssociationRejected, DoorwardError
from doorward.net.client import Requestor, associate
from doorward.net.transfer import get, store
from doorward.wire.pdu import RoleSelection
from doorward.wire.uids import STUDY_ROOT_FIND, STUDY_ROOT_GET, VERIFICATION
from index_entries import CT
from loopback import OpenGate
from stow_bodies import MULTIPART, file, multipart

HOST = "127.0.0.1"
SECOND = 1.0
#: One study of so many instances of so many bytes: more than any buffer on the way holds.
INSTANCES, BYTES = 12, 3_000_000
HELD = "1.2.3"
STUDY = f"{HELD}.1"
STUDIES = "/dicom-web/studies"
WORKSTATIONS = ("idle", "asking", "fetching", "keeping", "loading")
PEOPLE = ("ada", "ben", "cleo")


@dataclass(kw_only=True)
class House:
    folder: Folder
    running: Process
    contexts: dict[str, ssl.SSLContext]
    secrets: dict[str, bytes]

    @property
    def dicom(self) -> int:
        return self.running.ports["dicom"]

    def command(self, *words: str) -> float:
        """Run ``doorward archive`` with the folder after the verbs, and return when it was done."""
        assert run(["archive", *words[:2], str(self.folder.path), *words[2:]]) == 0
        return time.monotonic()

    @contextmanager
    def web(self, who: str | None = None) -> Iterator[http.client.HTTPSConnection]:
        """A connection that is kept, with somebody's certificate or none."""
        context = self.contexts[who or ""]
        port = self.running.ports["https"]
        connection = http.client.HTTPSConnection(HOST, port, context=context, timeout=10)
        try:
            yield connection
        finally:
            connection.close()

    def token(self, owner: str) -> tuple[str, str]:
        """Return id and text of a new token."""
        scope = {Operation.QUERY, Operation.RETRIEVE}
        life = timedelta(days=1)
        made = issue_token(self.folder, owner, scope=scope, lifetime=life, now=NOW)
        return made.id, made.text

    def session(self, name: str, line: http.client.HTTPSConnection) -> dict[str, str]:
        """Log somebody in and return what shows it."""
        code = totp.code_at(self.secrets[name], int(time.time() // totp.STEP_S))
        body = json.dumps({"name": name, "password": PASSWORD, "code": code})
        line.request("POST", "/login", body=body, headers={"Content-Type": "application/json"})
        reply = line.getresponse()
        assert reply.status == 200, reply.read()
        reply.read()
        return {"Cookie": reply.headers["Set-Cookie"].partition(";")[0]}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    place = tmp_path_factory.mktemp("revoked")
    folder = made(place / "pacs", ephemeral())
    contexts = {"": ssl.create_default_context(cafile=str(folder.secrets / "authority.pem"))}
    contexts["ct1"] = calling_context(ct1(folder), place / "ct1")
    contexts["sending"] = calling_context(ct1(folder, "sending"), place / "sending")
    contexts["stowing"] = calling_context(ct1(folder, "stowing"), place / "stowing")
    for name in WORKSTATIONS:
        bundle = ct1(folder, name, role=Role.WORKSTATION)
        contexts[name] = calling_context(bundle, place / name)
    service = Service(name="viewer", role=Role.WORKSTATION)
    folder.change_register(lambda register: register.with_entry(service))
    secrets = {}
    for name in PEOPLE:
        made_up = add_person(folder, Person(name=name, role=Role.READER), PASSWORD)
        secrets[name] = made_up.secret
    with archive_process(folder.path) as running:
        assert running.until("HTTPS on"), running.lines
        found = House(folder=folder, running=running, contexts=contexts, secrets=secrets)
        asyncio.run(fill(found))
        yield found
        assert running.stop() == 0


async def fill(house: House) -> None:
    async with associated(house, "ct1") as requestor:
        for number in range(INSTANCES):
            one = instance(
                f"{HELD}.{number}" if number else HELD,
                bytes(BYTES),
                StudyInstanceUID=STUDY,
                SeriesInstanceUID=f"{HELD}.2",
            )
            assert await store(requestor, one) == 0


def associated(house: House, who: str) -> AbstractAsyncContextManager[Requestor]:
    contexts = [(one, SYNTAXES) for one in (VERIFICATION, STUDY_ROOT_FIND, STUDY_ROOT_GET, CT)]
    both = RoleSelection(sop_class_uid=CT, scu_role=True, scp_role=True)
    proposal = proposal_of(who.upper(), *contexts)
    proposal = replace(proposal, role_selections=(both,))
    tls = house.contexts[who]
    return associate(HOST, house.dicom, proposal, gate=OpenGate(), tls=tls, server_name=HOST)


def refused_within_a_second(since: float, is_refused: Callable[[], bool]) -> None:
    """Ask until it is refused."""
    while not is_refused():
        assert time.monotonic() - since < SECOND, "still served after a second"


def status_of(line: http.client.HTTPSConnection, headers: dict[str, str]) -> int:
    line.request("GET", f"{STUDIES}?limit=1", headers=headers)
    reply = line.getresponse()
    reply.read()
    return reply.status


def is_refused(line: http.client.HTTPSConnection) -> bool:
    """By a 401, or broken off in the middle of an answer."""
    try:
        return status_of(line, {}) == 401
    except http.client.RemoteDisconnected:
        return True


def is_shut_out(house: House, who: str) -> bool:
    """By TLS; until that knows of it, whoever is let through is nobody."""
    with house.web(who) as line:
        try:
            assert status_of(line, {}) == 401
        except (ssl.SSLError, ConnectionError):
            return True
    return False


async def is_turned_away(house: House, who: str) -> bool:
    """The same, at the other door."""
    try:
        async with associated(house, who):
            pytest.fail("let in again")
    except AssociationRejected:
        return False
    except DoorwardError:
        return True


# --- the DICOM door ---------------------------------------------------------------------------------------------------


def test_an_association_that_waits_is_ended_and_no_other_begins(house):
    async def ask() -> None:
        with suppress(DoorwardError):
            async with associated(house, "idle") as requestor:
                assert await requestor.echo() == 0
                since = await asyncio.to_thread(house.command, "device", "revoke", "idle")
                async with asyncio.timeout(5):
                    await requestor.connection.wait_closed()
                assert time.monotonic() - since < SECOND
                while not await is_turned_away(house, "idle"):
                    assert time.monotonic() - since < SECOND, "not refused by TLS after a second"

    asyncio.run(ask())


def test_between_two_questions_the_second_is_not_answered(house):
    async def ask_until_refused() -> None:
        async with associated(house, "asking") as requestor:
            since = await asyncio.to_thread(house.command, "device", "revoke", "asking")
            while await requestor.echo() == 0:
                assert time.monotonic() - since < SECOND, "still answered after a second"

    with pytest.raises(AssociationAborted):
        asyncio.run(ask_until_refused())


def test_a_long_c_get_is_broken_off(house):
    came: list[int] = []

    async def fetch() -> float:
        async with associated(house, "fetching") as requestor:
            began = asyncio.Event()
            transport = requestor.connection.transport
            assert transport is not None

            def take(context, request):
                came.append(len(came))
                if len(came) == 2:
                    transport.pause_reading()
                    began.set()
                return Sink()

            fetching = asyncio.create_task(
                get(requestor, STUDY_ROOT_GET, identifier("STUDY", StudyInstanceUID=STUDY), take)
            )
            await began.wait()
            since = await asyncio.to_thread(house.command, "device", "revoke", "fetching")
            await asyncio.sleep(max(0.0, since + SECOND - time.monotonic()))
            transport.resume_reading()
            with pytest.raises(DoorwardError):
                await fetching
        return since

    with suppress(DoorwardError):
        asyncio.run(fetch())
    assert 2 <= len(came) < INSTANCES
    assert journalled(house, "fetching", Event.ASSOCIATION_CLOSED) == [Outcome.FAILED]


def test_what_a_revoked_device_was_sending_is_not_kept(house):
    class Slow:
        sop_class_uid, sop_instance_uid, transfer_syntax_uid = CT, "1.2.7", SYNTAXES[0]

        async def pieces(self):
            content = bytes(instance("1.2.7", bytes(100_000)).data_set)
            yield content[:50_000]
            await asyncio.to_thread(house.command, "device", "revoke", "sending")
            await asyncio.sleep(SECOND)
            yield content[50_000:]

    async def send() -> None:
        async with associated(house, "sending") as requestor:
            await store(requestor, Slow())

    with pytest.raises(DoorwardError):
        asyncio.run(send())
    with house.web("keeping") as line:
        line.request("GET", f"{STUDIES}?StudyInstanceUID=1.2.7.1")
        assert line.getresponse().status == 204


class Sink:
    """Takes an instance and forgets it."""

    def fragment(self, fragment: bytes) -> None:
        pass

    def end(self) -> int:
        return 0

    def abandon(self) -> None:
        pass


# --- the HTTPS door ---------------------------------------------------------------------------------------------------


def test_a_kept_connection_with_a_revoked_certificate_is_nobodys(house):
    with house.web("keeping") as line:
        assert status_of(line, {}) == 200
        since = house.command("device", "revoke", "keeping")
        refused_within_a_second(since, lambda: is_refused(line))
    refused_within_a_second(since, lambda: is_shut_out(house, "keeping"))


def test_a_token_is_refused_at_its_next_use(house):
    identifier_of, text = house.token("viewer")
    shown = {"Authorization": f"Bearer {text}"}
    with house.web() as line:
        assert status_of(line, shown) == 200
        since = house.command("token", "revoke", identifier_of)
        refused_within_a_second(since, lambda: status_of(line, shown) == 401)


def test_a_session_ends_by_logging_out(house):
    with house.web() as line:
        shown = house.session("ada", line)
        assert status_of(line, shown) == 200
        line.request("POST", "/logout", headers=shown | {"Sec-Fetch-Site": "same-origin"})
        reply = line.getresponse()
        assert reply.status == 204, reply.read()
        reply.read()
        assert status_of(line, shown) == 401


def test_a_person_who_is_removed_has_no_session_any_more(house):
    with house.web() as line:
        shown = house.session("ben", line)
        assert status_of(line, shown) == 200
        since = house.command("person", "remove", "ben")
        refused_within_a_second(since, lambda: status_of(line, shown) == 401)


def test_a_new_password_ends_the_sessions_of_the_old_one(house):
    with house.web() as line:
        shown = house.session("cleo", line)
        assert status_of(line, shown) == 200
        set_password(house.folder, "cleo", "another ladder of quiet moons")
        refused_within_a_second(time.monotonic(), lambda: status_of(line, shown) == 401)


def download(
    house: House, who: str | None, headers: dict[str, str], revoke: Callable[[], float]
) -> tuple[int, int]:
    """Begin to download a study, revoke, and return how much came of how much after a second without reading."""
    with house.web(who) as line:
        line.request("GET", f"{STUDIES}/{STUDY}", headers={"Accept": "*/*"} | headers)
        reply = line.getresponse()
        assert reply.status == 200
        length = int(reply.headers["Content-Length"])
        came = len(reply.read(65_536))
        since = revoke()
        time.sleep(max(0.0, since + SECOND - time.monotonic()))
        with suppress(http.client.IncompleteRead, ConnectionError, ssl.SSLError):
            while piece := reply.read(1_048_576):
                came += len(piece)
        return came, length


def test_a_long_download_by_certificate_is_broken_off(house):
    came, length = download(
        house, "loading", {}, lambda: house.command("device", "revoke", "loading")
    )
    assert length > INSTANCES * BYTES
    assert came < length / 2
    assert journalled(house, "loading", Event.RETRIEVE) == [Outcome.FAILED]


def test_a_long_download_by_token_is_broken_off(house):
    identifier_of, text = house.token("viewer")
    shown = {"Authorization": f"Bearer {text}"}
    came, length = download(
        house, None, shown, lambda: house.command("token", "revoke", identifier_of)
    )
    assert came < length / 2


def finish(line: http.client.HTTPSConnection, rest: bytes) -> None:
    line.send(rest)
    line.getresponse()


def test_a_long_upload_is_broken_off_and_its_rest_not_kept(house):
    body = multipart([file("1.2.6", bytes(400_000))])
    with house.web("stowing") as line:
        line.putrequest("POST", STUDIES)
        line.putheader("Content-Type", MULTIPART)
        line.putheader("Content-Length", str(len(body)))
        line.endheaders()
        line.send(body[:200_000])
        since = house.command("device", "revoke", "stowing")
        time.sleep(max(0.0, since + SECOND - time.monotonic()))
        with pytest.raises((ConnectionError, ssl.SSLError, http.client.HTTPException)):
            finish(line, body[200_000:])
    _, text = house.token("viewer")
    with house.web() as line:
        shown = {"Authorization": f"Bearer {text}"}
        line.request("GET", f"{STUDIES}?StudyInstanceUID=1.2.6.1", headers=shown)
        assert line.getresponse().status == 204


# --- and each of them is in the journal -------------------------------------------------------------------------------


def journalled(house: House, who: str, event: Event) -> list[Outcome]:
    entries = [one.entry for one in show(house.folder.journal)]
    return [one.outcome for one in entries if one.identity == who and one.event == event]


def test_who_was_revoked_and_tries_again_is_in_the_journal(house):
    entries = [one.entry for one in show(house.folder.journal)]
    refused = {(one.event, one.reason) for one in entries if "TLS" in one.reason}
    assert (Event.ASSOCIATION_REFUSED, "TLS: certificate revoked") in refused, "idle, above"
    assert (Event.REFUSAL, "TLS: certificate revoked") in refused, "keeping, above"
