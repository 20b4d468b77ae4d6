"""Who works on an archive from its own machine has a name in the journal, and meets no running archive."""

import asyncio
import os
import pwd
from datetime import UTC, datetime

import pytest

import archives
from doorward.access.identity import Operation, Subject, is_name
from doorward.access.journal.record import Event
from doorward.access.policy import decide
from doorward.archive.upkeep import hands
from doorward.errors import ConfigError
from loopback import in_loop
from upkept import filled, some

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_the_operator_is_the_user_of_the_system_and_no_account_of_the_archive(monkeypatch):
    name = pwd.getpwuid(os.getuid()).pw_name
    assert hands.operator().name == f"{name}@local"
    assert not is_name(hands.operator().name)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    assert hands.operator().name == "user 4000000000@local"


def test_the_importer_may_store_and_nothing_else():
    may = [
        operation
        for operation in Operation
        if decide(hands.importer(), operation, Subject(), hands.IMPORT_RULES, NOW).is_allowed
    ]
    assert may == [Operation.STORE]
    assert hands.importer("north").site == "north"


@in_loop
async def test_what_it_is_opened_for_stands_in_the_journal(tmp_path):
    async with archives.opened(tmp_path):
        pass
    async with hands.opened(tmp_path, purpose="EXPORT", instead="") as archive:
        assert archive.index is not None
    starts = [r.entry.subject for r in archives.records(tmp_path) if r.entry.event is Event.START]
    assert starts == ["DOORWARD", "EXPORT"]


@in_loop
async def test_a_running_archive_is_left_alone_and_the_other_way_is_named(tmp_path):
    async with archives.opened(tmp_path):
        with pytest.raises(ConfigError, match="is running") as caught:
            async with hands.opened(tmp_path, purpose="IMPORT", instead="Use C-STORE."):
                pass
    assert caught.value.hint == "Use C-STORE."


@in_loop
async def test_a_folder_that_is_no_archive_is_not_made_into_one(tmp_path):
    with pytest.raises(ConfigError, match="is no archive"):
        async with hands.opened(tmp_path, purpose="IMPORT", instead=""):
            pass
    assert not list(tmp_path.iterdir())


def test_a_folder_of_another_user_is_left_to_that_user(tmp_path, monkeypatch):
    filled(tmp_path, some(1))
    hands.require_ours(tmp_path)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(ConfigError, match="another user") as caught:
        hands.require_ours(tmp_path)
    assert f"#{owner}" in caught.value.hint
    hands.require_ours(tmp_path / "none")


def test_another_fault_of_opening_keeps_its_words(tmp_path):
    (filled(tmp_path, some(1)) / "index").unlink()

    async def open_it():
        async with hands.opened(tmp_path, purpose="IMPORT", instead=""):
            pass

    with pytest.raises(ConfigError, match="index is missing"):
        asyncio.run(open_it())
