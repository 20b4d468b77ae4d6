"""What a command changes holds in a running archive at its next look; what is damaged holds nobody."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from archive_folders import NOW, appended, ct1, journalled, made, rewritten
from doorward.access.identity import Register
from doorward.access.journal.record import Event
from doorward.access.people import PEOPLE
from doorward.archive.archive import Archive
from doorward.archive.running.devices import revoke_device
from doorward.archive.running.folder import REGISTER, TOKENS
from doorward.archive.running.settings import DestinationRow
from doorward.archive.running.watching import Watch, marks
from doorward.errors import ConfigError
from loopback import in_loop, limits, until


class Doors:
    """Counts what the watch asks of the doors."""

    def __init__(self):
        self.ended = self.renewed = 0
        self.fault = None

    def end_unknown(self):
        self.ended += 1
        return 1

    def renew(self):
        self.renewed += 1
        if self.fault:
            raise self.fault


@asynccontextmanager
async def watched(tmp_path):
    folder = await asyncio.to_thread(made, tmp_path / "pacs")
    settings, since = folder.settings(), marks(folder)
    archive = await Archive.open(folder.path, register=folder.register(), rules=settings.rules)
    doors = Doors()
    watch = Watch(
        folder, archive, settings, since=since, end_unknown=doors.end_unknown, renew=doors.renew
    )
    try:
        yield folder, archive, watch, doors
    finally:
        await archive.close()


@in_loop
async def test_nothing_is_done_where_nothing_has_changed(tmp_path):
    async with watched(tmp_path) as (_, _, watch, doors):
        assert not await watch.look()
        assert (doors.ended, doors.renewed) == (0, 0)


@in_loop
async def test_an_added_device_is_known_and_a_revoked_one_is_ended(tmp_path, caplog):
    async with watched(tmp_path) as (folder, archive, watch, doors):
        await asyncio.to_thread(ct1, folder)
        assert await watch.look()
        assert [one.name for one in archive.settings.register.devices] == ["ct1"]
        await asyncio.to_thread(revoke_device, folder, "ct1", now=NOW)
        assert await watch.look()
        assert archive.settings.register == Register()
        assert (doors.ended, doors.renewed) == (2, 1)
        assert not await watch.look()
    said = [entry for entry in journalled(folder) if entry[0] == Event.DEVICE_CHANGED]
    assert said == [
        (Event.DEVICE_CHANGED, "ct1", "device added"),
        (Event.DEVICE_CHANGED, "ct1", "device removed"),
    ]


@in_loop
async def test_what_was_changed_while_the_archive_was_opened_is_seen_too(tmp_path):
    async with watched(tmp_path) as (folder, archive, first, doors):
        since = marks(folder)
        await asyncio.to_thread(ct1, folder)
        watch = Watch(
            folder,
            archive,
            folder.settings(),
            since=since,
            end_unknown=doors.end_unknown,
            renew=doors.renew,
        )
        assert await watch.look()
        assert archive.settings.register.has("ct1")
        assert await first.look()


@in_loop
async def test_a_damaged_register_lets_nobody_in_and_is_said(tmp_path, caplog):
    async with watched(tmp_path) as (folder, archive, watch, doors):
        await asyncio.to_thread(ct1, folder)
        await watch.look()
        folder.vault().write(REGISTER, b"{}")
        await watch.look()
        assert archive.settings.register == Register()
        assert doors.ended == 2
        assert "nobody is known any more" in caplog.text
        assert "not in the journal yet" in caplog.text


@in_loop
async def test_everybody_is_back_when_the_register_can_be_read_again_and_it_is_said_once(
    tmp_path, caplog
):
    async with watched(tmp_path) as (folder, archive, watch, _):
        await asyncio.to_thread(ct1, folder)
        await watch.look()
        folder.limits = limits(secret_retry_s=0)
        register = folder.secrets / REGISTER
        register.touch()
        register.chmod(0o644)  # the way back leaves no mark
        folder.vault().write(PEOPLE, b"damaged\n")
        appended(folder, "\n")
        for _ in range(3):
            assert await watch.look()
        assert archive.settings.register == Register()
        assert caplog.text.count("nobody is known any more") == 1
        assert caplog.text.count("not in the journal yet") == 1
        register.chmod(0o600)
        assert await watch.look()
        assert archive.settings.register.has("ct1")
        assert caplog.text.count("in place after all: register.json") == 1
        folder.vault().remove(PEOPLE)
        assert await watch.look()
        assert not await watch.look()


@in_loop
async def test_what_could_not_be_read_is_tried_again_only_after_a_while(tmp_path):
    async with watched(tmp_path) as (folder, archive, watch, _):
        await asyncio.to_thread(ct1, folder)
        (folder.secrets / REGISTER).chmod(0o644)
        assert await watch.look()
        (folder.secrets / REGISTER).chmod(0o600)
        assert not await watch.look()
        assert archive.settings.register == Register()


@in_loop
@pytest.mark.parametrize(
    ("name", "said"), ((TOKENS, "no token lets anybody in"), (PEOPLE, "nobody can log in"))
)
async def test_damaged_tokens_or_people_are_said_once_until_they_can_be_read(
    tmp_path, caplog, name, said
):
    async with watched(tmp_path) as (folder, _, watch, _):
        folder.limits = limits(secret_retry_s=0)
        folder.vault().write(name, b"damaged\n")
        assert [await watch.look() for _ in range(3)] == [True] * 3
        assert caplog.text.count(said) == 1
        folder.vault().remove(name)
        assert await watch.look()
        assert f"in place after all: {name}" in caplog.text
        assert not await watch.look()


@in_loop
async def test_settings_and_certificates_that_failed_for_once_are_used_a_moment_later(tmp_path):
    async with watched(tmp_path) as (folder, archive, watch, doors):
        appended(folder, '\n[[rule]]\nname = "x"\neffect = "deny"\noperations = ["move"]\n')
        await asyncio.to_thread(folder.make_certificates, ["localhost"], now=NOW)
        folder.limits = limits(secret_retry_s=0, settings_bytes=1)
        doors.fault = ConfigError("failed for once")
        assert await watch.look()
        assert doors.renewed == 1
        assert "x" not in [rule.name for rule in archive.settings.rules.rules]
        folder.limits = limits(secret_retry_s=0)
        doors.fault = None
        assert await watch.look()
        assert doors.renewed == 2
        assert "x" in [rule.name for rule in archive.settings.rules.rules]
        assert not await watch.look()


@in_loop
async def test_changed_rules_and_destinations_hold_at_once_and_the_rest_later(tmp_path, caplog):
    async with watched(tmp_path) as (folder, archive, watch, _):
        row = DestinationRow(ae_title="WS2", address="10.0.0.8")
        rewritten(
            folder,
            lambda settings: replace(
                settings,
                destination=(row,),
                dicom=replace(settings.dicom, ae_title="OTHER"),
            ),
        )
        appended(folder, '\n[[rule]]\nname = "x"\neffect = "deny"\noperations = ["move"]\n')
        assert await watch.look()
        assert [rule.name for rule in archive.settings.rules.rules][-1] == "x"
        assert list(archive.settings.destinations) == ["WS2"]
        assert archive.settings.ae_title == "DOORWARD"
        assert "from the next start on: dicom" in caplog.text


@in_loop
async def test_settings_that_are_wrong_leave_the_former_rules_in_place(tmp_path, caplog):
    async with watched(tmp_path) as (folder, archive, watch, _):
        before = archive.settings
        appended(folder, "\n[[ruel]]\n")
        assert await watch.look()
        assert archive.settings == before
        assert "the former rules and destinations hold" in caplog.text


@in_loop
async def test_settings_that_are_away_for_a_moment_end_nothing(tmp_path, caplog):
    async with watched(tmp_path) as (folder, archive, watch, _):
        former, aside = archive.settings.rules, tmp_path / "aside"
        folder.settings_file.rename(aside)  # as editors do before they write another one
        await watch.look()
        assert archive.settings.rules == former
        assert "not in the journal yet" in caplog.text
        aside.rename(folder.settings_file)
        assert await watch.look()


@in_loop
async def test_certificates_that_do_not_fit_are_said(tmp_path, caplog):
    async with watched(tmp_path) as (folder, _, watch, doors):
        doors.fault = ConfigError("do not fit")
        await asyncio.to_thread(folder.make_certificates, ["localhost"], now=NOW)
        assert await watch.look()
        assert "the former certificates are used on: do not fit" in caplog.text


@in_loop
async def test_it_looks_again_and_again(tmp_path):
    async with watched(tmp_path) as (folder, archive, watch, _):
        folder.limits = limits(archive_watch_s=0.01)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(watch.run())
            await asyncio.to_thread(ct1, folder)
            await until(lambda: archive.settings.register.has("ct1"))
            running.cancel()


@in_loop
async def test_a_token_or_password_that_is_changed_ends_what_runs_by_it(tmp_path):
    async with watched(tmp_path) as (folder, _, watch, doors):
        for name in (TOKENS, PEOPLE):
            folder.vault().write(name, b"damaged\n")
            assert await watch.look()
        assert doors.ended == 2


@in_loop
async def test_whose_time_is_over_is_ended_without_any_change(tmp_path):
    async with watched(tmp_path) as (folder, _, watch, doors):
        folder.limits = limits(archive_watch_s=0.01)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(watch.run())
            await until(lambda: doors.ended > 1)
            running.cancel()


@pytest.fixture(autouse=True)
def _every_message(caplog):
    caplog.set_level("INFO", logger="doorward.archive")
