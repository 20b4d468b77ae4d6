"""Which management consoles, and which old WADO-URI, stand on a web port beside the imaging itself?

A console is named by its realm or title, never by its path alone: a made-up path is the control. Nothing is logged in to.
WADO-URI (PS3.18 section 9) is asked without naming an instance and in a made-up media type, so no image can come.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from doorward.audit.approach import Answer, Approach
from doorward.audit.facts import Outcome
from doorward.audit.visit import Seen, Visitor, access_of, made_up_name, refuses
from doorward.audit.web_facts import Access, ConsoleFacts, WebHygieneFacts
from doorward.errors import PeerProtocolError

_REALM = re.compile(r'realm="([^"]{0,200})"', re.IGNORECASE)
_HANDLED = (400, 406, 415)
_NO_TYPE = "application/x-doorward-none"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Console:
    """What a console is called, where it stands, and its marks."""

    name: str
    path: str
    title: re.Pattern[str]
    realm: re.Pattern[str]


def _console(name: str, path: str, title: str, realm: str) -> _Console:
    return _Console(
        name=name,
        path=path,
        title=re.compile(title, re.IGNORECASE),
        realm=re.compile(realm, re.IGNORECASE),
    )


#: Titles and realms as the products ship them (general knowledge; a console without its mark is not reported).
CONSOLES = (
    _console(
        "Tomcat manager",
        "/manager/html",
        r"/manager|Tomcat Web Application Manager",
        r"Tomcat Manager Application",
    ),
    _console(
        "Tomcat host manager",
        "/host-manager/html",
        r"/host-manager",
        r"Tomcat (?:Host )?Manager Application",
    ),
    _console(
        "JBoss JMX console",
        "/jmx-console/",
        r"JBoss JMX Management Console.{0,60}|JMX Console",
        r"JBoss JMX Console",
    ),
    _console(
        "WildFly console",
        "/console/",
        r"HAL Management Console|Management Console|Management Interface|WildFly.{0,60}",
        r"ManagementRealm",
    ),
)
#: WildFly's management interface answers in JSON; this member is in the root resource alone.
_MANAGEMENT = "/management"
_MANAGEMENT_MEMBER = "management-major-version"


def asker(*, contact: str = "") -> Callable[[Approach], Awaitable[Answer]]:
    """Return the probe."""

    async def ask(approach: Approach) -> Answer:
        visitor = Visitor(approach, contact=contact)
        try:
            control = await visitor.control()
        except PeerProtocolError as error:
            return Outcome.INCONCLUSIVE, str(error), None
        consoles = [await _look(visitor, console, control) for console in CONSOLES]
        consoles.append(await _management(visitor))
        facts = WebHygieneFacts(
            over_tls=approach.tls is not None,
            consoles=tuple(c for c in consoles if c.access is not Access.ABSENT),
            wado_uri=await _wado_uri(visitor),
            requests=visitor.requests,
        )
        return Outcome.ANSWERED, "", facts

    return ask


async def ask(approach: Approach) -> Answer:
    """Ask without a contact in the User-Agent."""
    return await asker()(approach)


async def _look(visitor: Visitor, console: _Console, control: Seen | None) -> ConsoleFacts:
    seen = await visitor.look(console.path)
    access = access_of(seen, control)
    if seen is not None and access is not Access.ABSENT:
        realm = _REALM.search(seen.reply.header("www-authenticate"))
        by_realm = realm is not None and console.realm.fullmatch(realm[1]) is not None
        title = "" if seen.page is None else seen.page.title
        by_title = console.title.fullmatch(title) is not None
        if not by_realm and not by_title:
            access = Access.ABSENT  # something else lives there
    return ConsoleFacts(console=console.name, path=console.path, access=access)


async def _management(visitor: Visitor) -> ConsoleFacts:
    """WildFly's management interface: read one member's name of its root, keep nothing."""
    reply, reader = await visitor.members(_MANAGEMENT, _MANAGEMENT_MEMBER)
    access = Access.ABSENT
    if reply is None:
        access = Access.SILENT
    elif reply.status == 200 and _MANAGEMENT_MEMBER in reader.found:
        access = Access.OPEN
    else:
        realm = _REALM.search(reply.header("www-authenticate"))
        if realm is not None and realm[1] == "ManagementRealm":
            access = Access.LOGIN
    return ConsoleFacts(console="WildFly management", path=_MANAGEMENT, access=access)


async def _wado_uri(visitor: Visitor) -> Access:
    """Ask /wado for a retrieval that names no instance; a made-up path beside it is the control.

    Orthanc answers 404 here as everywhere, also where WADO-URI is on (measured): ABSENT is no proof that it is off.
    """
    query = f"requestType=WADO&contentType={_NO_TYPE}"
    reply = await visitor.request(f"/wado?{query}", accept=_NO_TYPE)
    if reply is None:
        return Access.SILENT
    refused = refuses(reply)
    if refused is not None:
        return refused
    control = await visitor.request(f"/{made_up_name()}?{query}", accept=_NO_TYPE)
    if control is None:
        return Access.UNCLEAR
    if control.status == reply.status:
        return Access.ABSENT
    return Access.OPEN if reply.status in _HANDLED else Access.UNCLEAR
