"""Whole systems, port by port: the order of the questions, and that nothing asked is ever lost."""

import asyncio
import socket
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from ipaddress import ip_network

import pytest

from certificates import make_certificates
from doorward.audit.facts import Outcome, PortState, Reply
from doorward.audit.probes import exposure
from doorward.audit.roster import ListRoster, Visitee
from doorward.audit.scope import Scope
from doorward.audit.survey import SurveySettings, conduct, survey
from doorward.audit.targets import Target
from doorward.audit.traffic import UNPACED, Budget, Traffic
from doorward.audit.windows import parse_window
from doorward.errors import ScopeError
from doorward.net.tls import server_context
from loopback import HOST, House, in_loop, limits, listening
from scripted_peer import (
    C_ECHO_RQ,
    C_FIND_RQ,
    RELEASE_RQ,
    archive,
    final,
    finds,
    match,
    scripted_peer,
    scripted_peers,
    study,
)

BEHIND = ["capabilities", "exposure", "attributes"]


class Watcher:
    """Notes what it is told."""

    def __init__(self):
        self.started, self.probes, self.finished = [], [], []

    def system_started(self, target):
        self.started.append(target.host)

    def probe_finished(self, attempt):
        self.probes.append(attempt.probe)

    def system_finished(self, system):
        self.finished.append(system.address)


def settings(**changes):
    bounds = {
        "probe_gap_s": 0.0,
        "associate_s": 0.2,
        "reply_s": 0.2,
        "tls_handshake_s": 0.05,
        "tls_linger_s": 0.05,
        "release_s": 0.1,
        "cancel_s": 0.1,
    } | changes.pop("bounds", {})
    return SurveySettings(limits=limits(**bounds), **changes)


async def surveyed(*targets, scope=None, watcher=None, **changes):
    return await survey(
        targets,
        scope=scope or Scope.loopback(),
        settings=settings(**changes),
        observer=watcher or Watcher(),
    )


def at(port, host=HOST):
    return Target(host=host, ports=(port,) if isinstance(port, int) else port)


def outcomes(system):
    return [(attempt.probe, attempt.outcome.value) for attempt in system.attempts]


@pytest.fixture(scope="module")
def credentials(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def closed_port():
    with socket.create_server((HOST, 0)) as listener:
        return listener.getsockname()[1]


# --- one system -------------------------------------------------------------------------------------------------


@in_loop
async def test_an_open_archive_is_asked_everything_in_order():
    watcher = Watcher()
    async with scripted_peer(archive(finds(study(1), study(2)))) as peer:
        (system,) = await surveyed(at(peer.port), watcher=watcher)
    assert outcomes(system) == [
        ("association", "answered"),
        ("transport", "answered"),
        ("capabilities", "answered"),
        ("exposure", "answered"),
        ("attributes", "not_tested"),
    ]
    (counted,) = system.of("exposure", peer.port)
    assert (counted.facts.studies.value, counted.facts.images.value) == (2, 4)
    assert system.attempts[-1].reason == "needs clearance level 3, allowed is 2"
    assert (system.address, system.name, system.ports) == (HOST, "", (peer.port,))
    assert peer.most_at_a_time == 1
    assert sum(made.connections for made in system.attempts) == len(peer.calls)
    assert set(peer.commands) == {C_ECHO_RQ, C_FIND_RQ}
    assert watcher.probes == [made.probe for made in system.attempts]
    assert (watcher.started, watcher.finished) == ([HOST], [HOST])


@in_loop
@pytest.mark.parametrize(
    ("level", "asked"), ((1, ["capabilities"]), (2, BEHIND[:2]), (3, BEHIND)), ids=str
)
async def test_the_clearance_level_decides_what_is_asked_behind_the_door(level, asked):
    async with scripted_peer(archive(finds(study()))) as peer:
        (system,) = await surveyed(at(peer.port), clearance_level=level)
    made = {one.probe: one.outcome for one in system.attempts}
    assert [name for name in BEHIND if made[name] is not Outcome.NOT_TESTED] == asked
    if level < 3:
        first = next(name for name in BEHIND if name not in asked)
        assert "needs clearance level" in system.of(first)[0].reason
    assert system.clearance_level == level


@in_loop
async def test_a_closed_port_is_asked_nothing_more(closed_port):
    (system,) = await surveyed(at(closed_port))
    assert outcomes(system) == [("association", "answered")]
    assert system.attempts[0].facts.port_state is PortState.CLOSED


@in_loop
async def test_a_door_that_lets_nobody_in_is_not_asked_what_lies_behind():
    async def script(call):
        await call.asked()
        await call.send(bytes.fromhex("03 00 00000004 00010107"))
        await call.until_gone()

    async with scripted_peer(script) as peer:
        (system,) = await surveyed(at(peer.port))
    assert outcomes(system)[2:] == [(name, "not_tested") for name in BEHIND]
    assert {one.reason for one in system.attempts[2:]} == {"no association was accepted"}


@in_loop
async def test_without_an_answered_query_no_attribute_is_asked_for():
    async def on_find(call, message):
        await call.send(final(message, 0xA700))

    async with scripted_peer(archive(on_find)) as peer:
        (system,) = await surveyed(at(peer.port), clearance_level=3)
    (attributes,) = system.of("attributes")
    assert (attributes.outcome, attributes.reason) == (Outcome.NOT_TESTED, "no query was answered")


@in_loop
async def test_several_ports_are_asked_one_after_the_other(closed_port):
    async with (
        scripted_peer(archive(finds())) as first,
        scripted_peer(archive(finds())) as second,
    ):
        ports = (first.port, closed_port, second.port)
        (system,) = await surveyed(at(ports))
    assert system.ports == ports
    assert first.calls[-1].closed_at <= second.calls[0].opened_at


@in_loop
async def test_the_gap_between_two_connections_is_kept():
    async with scripted_peer(archive(finds())) as peer:
        await surveyed(at(peer.port), bounds={"probe_gap_s": 0.03})
    gaps = [
        later.opened_at - earlier.opened_at
        for earlier, later in zip(peer.calls[:-1], peer.calls[1:], strict=True)
    ]
    assert min(gaps) >= 0.029


# --- TLS --------------------------------------------------------------------------------------------------------


@in_loop
async def test_an_archive_behind_tls_is_counted_over_tls(credentials):
    tls = server_context(credentials.server.certificate_path, credentials.server.key_path)
    house = House(matches=[(0xFF00, study(1)), (0xFF00, study(2))])
    async with listening(house, tls=tls) as (_, port):
        (system,) = await surveyed(at(port))
    plain, secured = system.of("association")
    assert (plain.facts.over_tls, secured.facts.over_tls) == (False, True)
    assert secured.facts.replies[0].reply is Reply.ACCEPTED
    assert system.of("transport")[0].facts.speaks_tls
    assert system.of("exposure")[0].facts.studies.value == 2


@in_loop
@pytest.mark.parametrize("answer", (b"", bytes.fromhex("07 00 00000004 00000200")))
async def test_plain_dicom_on_a_port_registered_for_tls_is_found(answer):
    """Whether the hello is met by a reset or by an A-ABORT: an archive in plain may stand there."""

    async def script(call):
        first = await call.take(1)
        if first != b"\x01":
            await call.send(answer)
            return
        call.reader._buffer[:0] = first
        await archive(finds(study()))(call)

    async with scripted_peer(script, host="127.93.27.62", port=2762) as peer:
        (system,) = await surveyed(at(2762, peer.host))
    assert [one.probe for one in system.attempts][:2] == ["transport", "association"]
    assert system.of("association")[0].facts.replies[0].reply is Reply.ACCEPTED
    assert system.of("exposure")[0].facts.studies.value == 1


# --- many systems -----------------------------------------------------------------------------------------------


@in_loop
async def test_systems_come_back_in_the_order_of_the_targets(closed_port):
    hosts = [f"127.0.7.{number}" for number in (9, 3, 5, 1)]
    watcher = Watcher()
    systems = await surveyed(*(at(closed_port, host) for host in hosts), watcher=watcher)
    assert [system.address for system in systems] == hosts
    assert sorted(watcher.finished) == sorted(hosts)


@in_loop
async def test_an_address_is_asked_once_under_whatever_names(closed_port):
    systems = await surveyed(at(closed_port), at(closed_port), at(closed_port, "127.0.0.1"))
    assert [system.address for system in systems] == [HOST]


@in_loop
async def test_a_name_is_asked_at_its_addresses_and_kept(closed_port):
    systems = await surveyed(at(closed_port, "localhost"))
    assert systems[0].address == HOST
    assert {system.name for system in systems} == {"localhost"}
    assert systems[0].attempts[0].endpoint.name == "localhost"


@in_loop
async def test_an_unknown_name_is_a_system_that_could_not_be_tested(closed_port):
    unknown, known = await surveyed(at(104, "archive.invalid"), at(closed_port))
    assert outcomes(unknown) == [("association", "inconclusive")]
    assert "not known" in unknown.attempts[0].reason
    assert unknown.attempts[0].endpoint.port == 104
    assert outcomes(known) == [("association", "answered")]


@in_loop
async def test_no_more_systems_are_asked_at_a_time_than_the_limit_says():
    at_a_time, most = 0, 0

    async def script(call):
        nonlocal at_a_time, most
        at_a_time += 1
        most = max(most, at_a_time)
        try:
            await archive(finds())(call)
        finally:
            at_a_time -= 1

    hosts = [f"127.0.8.{number}" for number in range(1, 9)]
    async with scripted_peers([script] * len(hosts), hosts) as peers:
        targets = [at(peer.port, peer.host) for peer in peers]
        await surveyed(*targets, bounds={"hosts_at_a_time": 2}, clearance_level=1)
    assert 1 <= most <= 2


# --- the scope --------------------------------------------------------------------------------------------------


@in_loop
async def test_one_target_outside_the_scope_stops_everything_before_the_first_packet():
    scope = Scope(
        organisation="test",
        networks=(ip_network("192.0.2.0/24"),),
        valid_from=date(2020, 1, 1),
        valid_until=date(2030, 1, 1),
        today=date(2025, 1, 1),
        exclude=(ip_network("127.0.9.0/24"),),
    )
    async with scripted_peer(archive(finds())) as peer:
        for outside in ("198.51.100.1", "127.0.9.9"):
            with pytest.raises(ScopeError):
                await surveyed(at(peer.port), at(104, outside), scope=scope)
        assert not peer.calls


# --- faults and interruptions -----------------------------------------------------------------------------------


@in_loop
async def test_a_fault_of_ours_ends_one_system_and_loses_nothing(monkeypatch, closed_port):
    async def broken(approach):
        raise ZeroDivisionError("with a text that must not be seen")

    monkeypatch.setattr(exposure, "ask", broken)
    async with scripted_peer(archive(finds())) as peer:
        system, other = await surveyed(at(peer.port), at(closed_port, "127.0.7.7"))
    assert outcomes(system)[:3] == [
        ("association", "answered"),
        ("transport", "answered"),
        ("capabilities", "answered"),
    ]
    last = system.attempts[-1]
    assert (last.outcome, last.reason) == (Outcome.ERROR, "internal error (ZeroDivisionError)")
    assert last.endpoint.port == peer.port
    assert outcomes(other) == [("association", "answered")]


@in_loop
async def test_a_system_that_takes_too_long_is_left_with_what_is_known():
    async def on_find(call, message):
        pass

    async with scripted_peer(archive(on_find)) as peer:
        (system,) = await surveyed(at(peer.port), bounds={"host_s": 0.4, "reply_s": 30.0})
        assert peer.calls[-1].pdus[-1] == RELEASE_RQ
    assert outcomes(system)[0] == ("association", "answered")
    assert system.attempts[-1].outcome is Outcome.INCONCLUSIVE
    assert "the time for one system was used up" in system.attempts[-1].reason


@in_loop
async def test_an_interruption_releases_and_keeps_what_is_finished():
    counting = asyncio.Event()

    async def on_find(call, message):
        await call.send(match(message, study()))
        counting.set()

    async with scripted_peer(archive(on_find)) as peer:
        running = asyncio.ensure_future(
            surveyed(at(peer.port), bounds={"reply_s": 30.0, "release_s": 5.0})
        )
        await counting.wait()
        running.cancel()
        (system,) = await running
        assert running.cancelling()
    assert [one.probe for one in system.attempts] == ["association", "transport", "capabilities"]
    assert all(call.pdus[-1] == RELEASE_RQ for call in peer.calls if call.request[:2] == b"\0\1")
    assert peer.calls[-1].pdus[-1] == RELEASE_RQ


@in_loop
async def test_an_interruption_before_the_first_answer_is_an_interruption():
    heard = asyncio.Event()

    async def script(call):
        await call.asked()
        heard.set()
        await call.until_gone()

    async with scripted_peer(script) as peer:
        running = asyncio.ensure_future(surveyed(at(peer.port), bounds={"associate_s": 30.0}))
        await heard.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


# --- a survey as a whole ----------------------------------------------------------------------------------------------


class Kept(ListRoster):
    """A roster that remembers who came back, and gives them out again with their answers."""

    def __init__(self, visitees):
        self.queue, self.back, self.made = list(visitees), [], {}
        super().__init__([])

    async def next(self):
        if not self.queue:
            return None
        visitee = self.queue.pop(0)
        return replace(visitee, answered=tuple(self.made.get(visitee.number, ())))

    def answered(self, visitee, attempt):
        self.made.setdefault(visitee.number, []).append(attempt)

    def put_back(self, visitee, facts):
        self.back.append(visitee.number)
        self.queue.append(visitee)


def visitees(*places):
    return [
        Visitee(number=n, target=Target(host=host, ports=(port,)), address=host)
        for n, (host, port) in enumerate(places)
    ]


async def conducted(roster, traffic, scope=None, **changes):
    await conduct(
        roster,
        scope=scope or Scope.loopback(),
        settings=settings(**changes),
        observer=Watcher(),
        traffic=traffic,
    )


@in_loop
async def test_everybody_on_the_roster_is_visited_once_by_few_tasks(closed_port):
    roster = Kept(visitees(*((f"127.0.3.{n}", closed_port) for n in range(1, 50))))
    await conducted(roster, Traffic(replace(UNPACED, systems_at_a_time=3)))
    assert sorted(roster.seen) == list(range(49))
    assert not roster.back


@in_loop
async def test_a_spent_budget_finishes_what_is_open_and_puts_the_rest_back(closed_port):
    roster = Kept(visitees(*((f"127.0.3.{n}", closed_port) for n in range(1, 9))))
    rules = replace(UNPACED, systems_at_a_time=1, budget=Budget(connections=3))
    traffic = Traffic(rules)
    await conducted(roster, traffic)
    assert sorted(roster.seen) == [0, 1, 2]
    assert traffic.connections == 3
    assert "3 connections" in traffic.stopped_because


@in_loop
async def test_when_the_window_closes_visits_go_home_and_go_on_in_the_next_one():
    """The clock runs 1,000 times as fast: a window of a minute is 60 ms, and a week 10 minutes."""
    begun = asyncio.get_running_loop().time()

    def clock():
        elapsed = (asyncio.get_running_loop().time() - begun) * 1_000
        return datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC) + timedelta(seconds=elapsed)

    class Hasty(Traffic):
        def left_s(self):
            return super().left_s() / 1_000

    windows = (parse_window("12:00-12:01"), parse_window("12:02-12:30"))
    traffic = Hasty(
        replace(UNPACED, systems_at_a_time=2, windows=windows),
        clock=clock,
        limits=limits(window_sleep_s=0.001),
    )
    with socket.create_server((HOST, 0)) as silent:  # takes the connection and never answers
        roster = Kept(visitees((HOST, silent.getsockname()[1])))
        await conducted(roster, traffic, bounds={"associate_s": 0.1})
    assert roster.back == [0]
    assert list(roster.seen) == [0]
    probes = [attempt.probe for attempt in roster.seen[0].attempts]
    assert probes.count("association") == 1


@in_loop
async def test_a_permission_that_has_ended_ends_the_survey(closed_port):
    roster = Kept(visitees((HOST, closed_port)))
    traffic = Traffic(UNPACED, clock=lambda: datetime(2026, 11, 23, 0, 0, 1, tzinfo=UTC))
    scope = replace(Scope.loopback(), valid_until=date(2026, 11, 22))
    await conducted(roster, traffic, scope)
    assert "authorisation" in traffic.stopped_because
    assert not roster.seen
    assert traffic.connections == 0


@in_loop
async def test_an_address_outside_the_scope_ends_everything_with_its_own_error():
    roster = Kept(visitees(("192.0.2.1", 104)))
    with pytest.raises(ScopeError):
        await conducted(roster, Traffic(UNPACED))


@in_loop
async def test_a_clock_that_is_set_forward_closes_the_window_at_once():
    """A machine that slept, summer time, a clock that was wrong: what the loop slept says nothing about the hour."""
    hours = [1]

    def clock():
        return datetime(2026, 11, 23, hours[0], 0, 0, tzinfo=UTC)

    traffic = Traffic(
        replace(UNPACED, systems_at_a_time=1, windows=(parse_window("00:00-06:00"),)),
        clock=clock,
        on_wait=lambda _: traffic.stop("outside the hours"),
        limits=limits(window_sleep_s=0.01),
    )
    with socket.create_server((HOST, 0)) as silent:
        silent.setblocking(False)
        roster = Kept(visitees((HOST, silent.getsockname()[1])))
        survey_ = asyncio.create_task(conducted(roster, traffic, bounds={"associate_s": 30.0}))
        peer, _ = await asyncio.get_running_loop().sock_accept(silent)
        hours[0] = 9
        with peer:
            async with asyncio.timeout(5):
                await survey_
    assert roster.back == [0]
    assert traffic.stopped_because == "outside the hours"
