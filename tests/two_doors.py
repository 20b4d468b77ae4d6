"""One archive behind both of its doors, and one question asked at each: C-FIND over TLS, QIDO over HTTPS.

    with two_doors(tmp_path, make_world(1)) as doors:
        by_dimse = doors.find(asked, "ws1")        # pydicom data sets, or the status that refuses
        by_web = doors.search(asked, "ws1")        # the same, or the status of HTTP

Known are the workstations ``ws1`` (sees all), ``ws2`` (its own site's studies) and ``ws3`` (younger ones, none labelled vip).
"""

import asyncio
import http.client
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydicom import Dataset, config
from pydicom.multival import MultiValue

from archives import HOST, SYNTAXES, device, proposal_of
from doorward.access.identity import How, Operation, Role
from doorward.access.journal.record import Entry, Event
from doorward.access.rules import Effect, Rule, Rules
from doorward.archive.ingest import Door as IngestDoor
from doorward.net.client import Requestor, associate
from doorward.net.server import serve
from doorward.net.tls import client_context, server_context
from doorward.wire.uids import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    PATIENT_ROOT_FIND,
    STUDY_ROOT_FIND,
)
from loopback import OpenGate
from naive_matching import day_of, tag_of, vr_of
from query_worlds import OFFSET, Asked, World, decoded, encoded, identifier
from web_archives import WebArchive, ask, web_archive

SITES = {"ws1": "", "ws2": "north", "ws3": "south"}
#: Since when ``ws3`` sees studies.
SINCE = date(2020, 1, 15)
_EVERYONE = frozenset({Operation.QUERY})


def rules_of(today: date) -> Rules:
    """Return who sees what; ages are counted from today."""
    days = (today - SINCE).days + 1
    return Rules(
        rules=(
            Rule(name="store", effect=Effect.ALLOW, operations=frozenset({Operation.STORE})),
            _allow("all", "ws1"),
            _allow("own", "ws2", own_site=True),
            _allow("young", "ws3", younger_than_days=days),
            Rule(
                name="vip",
                effect=Effect.DENY,
                operations=_EVERYONE,
                identities=frozenset({"ws3"}),
                labels=frozenset({"vip"}),
            ),
        )
    )


def _allow(name: str, who: str, **named: Any) -> Rule:
    identities = frozenset({who})
    return Rule(
        name=name, effect=Effect.ALLOW, operations=_EVERYONE, identities=identities, **named
    )


def visible(world: World, who: str) -> frozenset[str]:
    """Return the studies that somebody may see: the rules above in other words."""
    if who == "ws1":
        return frozenset(world.studies)
    if who == "ws2":
        return frozenset(uid for uid in world.studies if world.sites[uid] == SITES[who])
    days = {uid: day_of(held[0], "StudyDate") for uid, held in world.studies.items()}
    return frozenset(
        uid
        for uid, day in days.items()
        if day is not None and day >= SINCE and "vip" not in world.labels[uid]
    )


@dataclass(kw_only=True)
class Doors:
    """Both doors of a running archive, and connections to them that are kept."""

    site: WebArchive
    dicom_port: int
    runner: asyncio.Runner
    stack: AsyncExitStack
    #: The statuses of the last C-FIND's matches, and the Warning of the last search.
    statuses: set[int] = field(default_factory=set)
    warning: str = ""
    _requestors: dict[str, Requestor] = field(default_factory=dict)
    _connections: dict[str, http.client.HTTPSConnection] = field(default_factory=dict)

    def find(self, asked: Asked, who: str) -> list[Dataset] | int:
        """Ask by C-FIND; the study root, but for patients."""
        return self.runner.run(self._find(asked, who))

    async def _find(self, asked: Asked, who: str) -> list[Dataset] | int:
        requestor = self._requestors.get(who)
        if requestor is None:
            requestor = self._requestors[who] = await self._associated(who)
        found: list[bytes] = []
        self.statuses = set()

        def keep(status: int, answer: Any) -> None:
            self.statuses.add(status)
            found.append(bytes(answer))

        is_implicit = asked.is_implicit
        # Explicit for the study root, implicit for the patient root: one context each.
        root = PATIENT_ROOT_FIND if asked.level == "PATIENT" or is_implicit else STUDY_ROOT_FIND
        is_implicit = root == PATIENT_ROOT_FIND
        result = await requestor.find(
            root,
            encoded(identifier(asked), is_implicit=is_implicit),
            keep,
        )
        if result.final_status != 0:
            return result.final_status or -1
        return [decoded(one, is_implicit=is_implicit) for one in found]

    async def _associated(self, who: str) -> Requestor:
        shown = self.site.credentials[who]
        tls = client_context(
            authorities=self.site.authority,
            certificate=shown.certificate_path,
            key=shown.key_path,
        )
        proposal = proposal_of(
            who.upper(),
            (STUDY_ROOT_FIND, (EXPLICIT_VR_LITTLE_ENDIAN,)),
            (PATIENT_ROOT_FIND, (IMPLICIT_VR_LITTLE_ENDIAN,)),
        )
        opened = associate(HOST, self.dicom_port, proposal, gate=OpenGate(), tls=tls)
        return await self.stack.enter_async_context(opened)

    def search(self, asked: Asked, who: str, **flags: str) -> list[Dataset] | int:
        """Ask by QIDO."""
        connection = self._connections.get(who)
        if connection is None:
            connection = self._connections[who] = self.site.connection(who)
        answer = ask(connection, "GET", address(asked, **flags))
        self.warning = answer.headers.get("warning", "")
        if answer.status == 204:
            return []
        if answer.status != 200:
            return answer.status
        with config.disable_value_validation():
            return [Dataset.from_json(one) for one in json.loads(answer.body)]

    def close(self) -> None:
        """End what is open here."""
        for connection in self._connections.values():
            connection.close()
        self.runner.run(self.stack.aclose())


def address(asked: Asked, **flags: str) -> str:
    """Return a question as path and query of a search."""
    keys = dict(asked.keys)
    path = ""
    if asked.is_hierarchical and asked.level in ("SERIES", "IMAGE"):
        path += f"/studies/{keys.pop('StudyInstanceUID')}"
        if asked.level == "IMAGE":
            path += f"/series/{keys.pop('SeriesInstanceUID')}"
    path += {"STUDY": "/studies", "SERIES": "/series", "IMAGE": "/instances"}[asked.level]
    parameters = [*_parameters(keys, asked.spelling), *flags.items()]
    text = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters)
    return f"/dicom-web{path}?{text}"


def _parameters(
    keys: Mapping[str, Any], spelling: int, before: str = ""
) -> Iterator[tuple[str, str]]:
    """Yield the parameters; a sequence of which nothing is asked is only included."""
    for keyword, value in keys.items():
        name = before + (f"{tag_of(keyword):08X}" if spelling & 1 else keyword)
        if isinstance(value, Mapping):
            inner = list(_parameters(value, spelling, f"{name}."))
            yield from [pair for pair in inner if pair[0] != "includefield"] or [
                ("includefield", name)
            ]
        elif keyword == OFFSET and not value:
            yield "includefield", name
        elif not value and not before:
            yield ("includefield", name) if spelling & 2 else (name, "")
        else:
            has_commas = spelling & 2 and vr_of(keyword) in ("UI", "CS")
            yield name, value.replace("\\", ",") if has_commas else value


@contextmanager
def two_doors(folder: Path, world: World) -> Iterator[Doors]:
    """Serve what a world holds at both doors."""
    devices = dict.fromkeys(SITES, Role.WORKSTATION) | {"ct1": Role.MODALITY}
    with web_archive(folder, devices=devices) as site:
        archive = site.archive
        known = tuple(
            replace(one, site=SITES.get(one.name, "")) for one in archive.settings.register.devices
        )
        register = replace(archive.settings.register, devices=known)
        rules = rules_of(archive.now().date())
        site.call(lambda: archive.use(register=register, rules=rules))
        site.do(_fill(site, world))
        own = site.certificates.server
        tls = server_context(own.certificate_path, own.key_path, client_authorities=site.authority)
        ends = AsyncExitStack()

        async def listen() -> int:
            server = await ends.enter_async_context(serve(archive.services))
            return await server.listen(HOST, 0, tls=tls)

        port = site.do(listen())
        try:
            with asyncio.Runner() as runner:
                doors = Doors(site=site, dicom_port=port, runner=runner, stack=AsyncExitStack())
                try:
                    yield doors
                finally:
                    doors.close()
        finally:
            site.do(ends.aclose())


async def _fill(site: WebArchive, world: World) -> None:
    """Take all in, each study from its site, and put the labels on."""
    archive = site.archive
    for one in world.instances:
        await _store(site, one, world.sites[one.StudyInstanceUID])
    for uid, labels in world.labels.items():
        for held in await archive.index.studies_with(uid):
            if labels:
                await archive.index.label(held.number, labels)


async def _store(site: WebArchive, one: Dataset, place: str) -> None:
    archive = site.archive
    sender = device("ct1", Role.MODALITY, site=place).identity(How.CERTIFICATE)
    content = encoded(one)

    async def whole() -> AsyncIterator[bytes]:
        yield content

    door = IngestDoor(
        identity=lambda: sender,
        rules=lambda: archive.settings.rules,
        now=archive.now,
        record=Entry(event=Event.STORE, peer=HOST),
    )
    answer = await archive.ingest.take(
        whole(),
        door,
        sop_class_uid=str(one.SOPClassUID),
        sop_instance_uid=str(one.SOPInstanceUID),
        transfer_syntax_uid=SYNTAXES[0],
    )
    assert answer.status == 0, answer


# --- what is compared ---------------------------------------------------------------------------------------------------


def shown(answers: list[Dataset], asked: Mapping[str, Any]) -> list[str]:
    """Return what was asked for of each answer, in a form that can be compared, in order."""
    return sorted(str({name: plain(one, name) for name in sorted(asked)}) for one in answers)


def plain(data_set: Dataset, keyword: str) -> Any:
    """Return what an attribute says, whatever form it has: numbers as numbers, names by their groups."""
    element = data_set.get_item(keyword) and data_set[keyword]
    if element is None or element.value is None:
        return ()
    if element.VR == "SQ":
        return tuple(
            {one.keyword: plain(item, one.keyword) for one in item} for item in element.value
        )
    value = element.value
    several = list(value) if isinstance(value, MultiValue | list) else [value]
    if element.VR in ("DS", "IS", "US"):
        return tuple(float(str(one)) for one in several if str(one).strip())
    texts = tuple(str(one).strip(" \0") for one in several)
    if element.VR == "PN":
        texts = tuple("=".join(g.strip() for g in text.split("=")).rstrip("=") for text in texts)
    return texts if any(texts) else ()
