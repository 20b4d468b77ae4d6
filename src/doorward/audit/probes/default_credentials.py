"""Does a documented default login open the door? Clearance level 3, an explicit wish of the operator, one attempt.

First the page is asked for without a login: only a product that shows its own mark and asks for a login is tried, so a
login never goes to anybody else. Then one request with the documented pair; its status is the result, its body is dropped.
"""

import base64
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from urllib.parse import urlencode

from doorward.audit.approach import Answer, Approach
from doorward.audit.credential_facts import CredentialFacts, Login
from doorward.audit.facts import Outcome
from doorward.audit.visit import Visitor
from doorward.knowledge.default_credentials import DefaultLogin, default_logins
from doorward.net.http import HttpReply

_REALM = re.compile(r'\bbasic\b.{0,200}?realm="([^"]{0,200})"', re.IGNORECASE)
_ASKS = 401


def asker(
    *, contact: str = "", logins: Sequence[DefaultLogin] | None = None
) -> Callable[[Approach], Awaitable[Answer]]:
    """Return the probe; whoever calls it has asked the operator (--try-default-credentials)."""

    async def ask(approach: Approach) -> Answer:
        # Congestion is not retried here: that would be a second attempt.
        once = replace(approach, limits=replace(approach.limits, congestion_retries=0))
        visitor = Visitor(once, contact=contact)
        for login in default_logins() if logins is None else logins:
            shut = await visitor.request(login.path, max_body_bytes=0)
            if shut is None or not _is_recognised(shut, login):
                continue
            result = Login.NOT_TRIED
            if shut.status == _ASKS:
                result = _result(await _attempt(visitor, login))
            facts = CredentialFacts(
                product=login.product,
                key=login.key,
                user=login.user,
                result=result,
                over_tls=approach.tls is not None,
            )
            if result is Login.NOT_TRIED:
                return Outcome.NOT_TESTED, f"{login.product} asks for no login here", facts
            is_clear = result is not Login.UNCLEAR
            outcome = Outcome.ANSWERED if is_clear else Outcome.INCONCLUSIVE
            return outcome, "" if is_clear else "the login was neither taken nor refused", facts
        return Outcome.NOT_TESTED, "no product with a documented default login was recognised", None

    return ask


async def ask(approach: Approach) -> Answer:
    """Try the documented default login of the product that is recognised."""
    return await asker()(approach)


def _is_recognised(reply: HttpReply, login: DefaultLogin) -> bool:
    found = _REALM.search(reply.header("www-authenticate"))
    realm = "" if found is None else found[1]
    return login.is_shown_by(realm=realm, server=reply.header("server"))


async def _attempt(visitor: Visitor, login: DefaultLogin) -> HttpReply | None:
    """Ask once with the pair."""
    if login.way == "basic":
        pair = base64.b64encode(f"{login.user}:{login.secret}".encode()).decode("ascii")
        headers = [("Authorization", f"Basic {pair}")]
        return await visitor.request(login.path, headers=headers, max_body_bytes=0)
    query = urlencode({"username": login.user, "password": login.secret})
    return await visitor.request(f"{login.path}?{query}", method="POST", max_body_bytes=0)


def _result(reply: HttpReply | None) -> Login:
    if reply is None:
        return Login.UNCLEAR
    if reply.status == 200:
        return Login.ACCEPTED
    return Login.REFUSED if reply.status in (_ASKS, 403) else Login.UNCLEAR
