"""One archive with both its doors for a test, and one question in the words of either: C-STORE and STOW, C-FIND and QIDO.

    with both_doors(tmp_path, rules=rules) as house:
        assert house.by_dicom("ws1", Operation.QUERY) == house.by_web("ws1", Operation.QUERY)

Devices show their certificate at both; people and services a token, which DICOM carries as user identity inside TLS.
"""

import asyncio
import concurrent.futures
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from archives import HOST, SYNTAXES, identifier, instance, proposal_of
from archives import served as served_dicom
from commitment_peers import COMMITMENT, information
from doorward.access.identity import Operation
from doorward.access.journal.record import Record
from doorward.access.tokens import TokenBook
from doorward.archive.giving import Destination
from doorward.archive.user_identities import UserIdentities
from doorward.net.client import associate
from doorward.net.tls import server_context
from doorward.wire.command import (
    CEchoRequest,
    CFindRequest,
    CGetRequest,
    CMoveRequest,
    Command,
    CStoreRequest,
    NActionRequest,
)
from doorward.wire.pdu import Fragment, IdentityType, UserIdentity
from doorward.wire.uids import (
    STORAGE_COMMITMENT_PUSH_MODEL,
    STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
)
from index_entries import CT
from loopback import OpenGate
from stow_bodies import file, multipart, post
from web_archives import WebAnswer, WebArchive, web_archive

#: An instance that is there; its study is ``f"{HELD}.1"``.
HELD = "1.2.3"
STUDY = f"{HELD}.1"
NOT_AUTHORISED = 0x0124
_PENDING = {0xFF00, 0xFF01}


@dataclass(frozen=True, slots=True)
class Said:
    """What a door has said: yes, or no and why."""

    is_allowed: bool
    reason: str = ""


class Heard:
    """The last response of whatever operation, with its Error Comment."""

    def __init__(self) -> None:
        self.is_done = False
        self.status = -1
        self.comment = ""

    def command(self, context_id: int, command: Command) -> None:
        """Take a response; the last one counts."""
        status = getattr(command, "status", None)
        if status is not None and status not in _PENDING:
            self.status, self.comment, self.is_done = status, command.error_comment, True

    def fragment(self, fragment: Fragment, is_last: bool) -> None:
        """Identifiers are not looked at."""


@dataclass(slots=True)
class House:
    """An archive and its two doors."""

    site: WebArchive
    dicom: int
    #: Owner -> token, for those who show one.
    tokens: dict[str, str] = field(default_factory=dict)
    _stored: int = 0

    def by_dicom(self, who: str, operation: Operation) -> Said | None:
        """Ask for an operation by DIMSE; None: DICOM has no words for it."""
        asked = _QUESTIONS.get(operation)
        if asked is None:
            return None
        heard = asyncio.run(self._dimse(who, *asked))
        if heard.status == NOT_AUTHORISED:
            return Said(False, heard.comment)
        return Said(True)

    def by_web(self, who: str, operation: Operation) -> Said | None:
        """Ask for an operation by DICOMweb; None: it has no words for it."""
        paths = {
            Operation.QUERY: "/dicom-web/studies",
            Operation.RETRIEVE: f"/dicom-web/studies/{STUDY}",
        }
        if operation is Operation.STORE:
            self._stored += 1
            body = multipart([file(f"1.2.9.{self._stored}")])
            answer = post(self.site, body, **self.proof(who))
        elif operation in paths:
            answer = self.get(who, paths[operation])
        else:
            return None
        assert answer.status in {200, 403}, answer
        return Said(True) if answer.status == 200 else Said(False, answer.json()["error"])

    def get(self, who: str, path: str, **headers: str) -> WebAnswer:
        """Ask by GET as somebody."""
        return self.site.get(path, **(self.proof(who) | headers))

    def proof(self, who: str) -> dict[str, Any]:
        """Return what shows who it is at the HTTPS door."""
        if who in self.tokens:
            return {"who": None, "Authorization": f"Bearer {self.tokens[who]}"}
        return {"who": who}

    def records(self) -> list[Record]:
        """Return the whole journal."""
        return self.site.journal()

    async def _dimse(self, who: str, uid: str, make: Any, data: bytes | None) -> Heard:
        proposal = replace(
            proposal_of(who.upper()[:16], (uid, SYNTAXES)), user_identity=self._shown(who)
        )
        tls = self.site.context(None if who in self.tokens else who)
        heard = Heard()
        async with associate(
            HOST, self.dicom, proposal, gate=OpenGate(), tls=tls, server_name=HOST
        ) as requestor:
            context = requestor.context_for(uid)
            assert context is not None
            await requestor.perform(context, make, heard, data=data)
        return heard

    def _shown(self, who: str) -> UserIdentity | None:
        if who not in self.tokens:
            return None
        return UserIdentity(
            type=IdentityType.USERNAME_AND_PASSCODE,
            response_requested=False,
            primary=who.encode(),
            secondary=self.tokens[who].encode(),
        )


def _asked(uid: str, kind: Any, data: bytes | None = None, **fields: Any) -> tuple[str, Any, Any]:
    def make(message_id: int) -> Any:
        return kind(message_id=message_id, **fields)

    return uid, make, data


_SENT = instance("1.2.8")
_KEYS = identifier("STUDY", StudyInstanceUID=STUDY)
#: Operation -> SOP class, command and data set of the question.
_QUESTIONS = {
    Operation.ECHO: _asked(VERIFICATION, CEchoRequest, affected_sop_class_uid=VERIFICATION),
    Operation.STORE: _asked(
        CT,
        CStoreRequest,
        bytes(_SENT.data_set),
        affected_sop_class_uid=CT,
        affected_sop_instance_uid=_SENT.sop_instance_uid,
    ),
    Operation.QUERY: _asked(
        STUDY_ROOT_FIND, CFindRequest, _KEYS, affected_sop_class_uid=STUDY_ROOT_FIND
    ),
    Operation.RETRIEVE: _asked(
        STUDY_ROOT_GET, CGetRequest, _KEYS, affected_sop_class_uid=STUDY_ROOT_GET
    ),
    Operation.MOVE: _asked(
        STUDY_ROOT_MOVE,
        CMoveRequest,
        _KEYS,
        affected_sop_class_uid=STUDY_ROOT_MOVE,
        move_destination="WS1",
    ),
    Operation.COMMIT: _asked(
        COMMITMENT[0],
        NActionRequest,
        information("2.25.1", [(CT, HELD)]),
        requested_sop_class_uid=STORAGE_COMMITMENT_PUSH_MODEL,
        requested_sop_instance_uid=STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
        action_type_id=1,
        has_data_set=True,
    ),
}


@contextmanager
def both_doors(folder: Path, *, by_token: tuple[str, ...] = (), **named: Any) -> Iterator[House]:
    """Serve an archive by HTTPS and by DICOM over TLS; ``by_token``: who of the people and services gets one."""
    with web_archive(folder, **named) as site:
        tokens = {name: site.token(name, tuple(Operation)) for name in by_token}
        site.stored(instance(HELD))
        port: concurrent.futures.Future[int] = concurrent.futures.Future()
        over = site.call(asyncio.Event)
        serving = asyncio.run_coroutine_threadsafe(_dicom(site, port, over), site.loop)
        try:
            yield House(site, port.result(10), tokens)
        finally:
            site.loop.call_soon_threadsafe(over.set)
            serving.result(15)


async def _dicom(
    site: WebArchive, port: "concurrent.futures.Future[int]", over: asyncio.Event
) -> None:
    archive, server = site.archive, site.certificates.server
    authority = site.certificates.authority.certificate_path
    tls = server_context(
        server.certificate_path, server.key_path, client_authorities=authority, asks_only=True
    )

    def tokens() -> TokenBook:
        return TokenBook.from_bytes(site.vault.read("tokens.json"))

    here = UserIdentities(
        register=lambda: archive.settings.register, now=archive.now, tokens=tokens
    )
    archive.services.callers.identify_user = here.identify
    archive.settings = replace(archive.settings, takes_user_identity=True)
    # Nobody listens there: what is asked is whether it would be sent.
    archive.use(destinations=[Destination(ae_title="WS1", address=HOST, port=1)])
    async with served_dicom(archive, tls=tls) as bound:
        port.set_result(bound)
        await over.wait()
