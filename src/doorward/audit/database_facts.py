"""What the handshake with a database showed, as a value without judgement and without any name of the peer's.

Product and version are words and digits of our own (``greetings``); names of databases, users and hosts are never read.
"""

from dataclasses import dataclass

from doorward.greetings.conversation import Access


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFacts:
    """One port where a database was expected."""

    #: What was expected: postgresql | mysql | mssql | oracle | mongodb | redis | elasticsearch | ldap
    protocol: str
    #: False: the connection was refused.
    is_open: bool = True
    #: It answered as that protocol does.
    is_recognised: bool = False
    product: str = ""
    version: str = ""
    #: How far a made-up user comes who has no password, without TLS and inside it; None: not tried that way.
    plain: Access | None = None
    secured: Access | None = None
    #: How it asks for proof, and its own number for the answer.
    method: str = ""
    code: str = ""
    offers_tls: bool | None = None
    #: It said that nobody may log in without TLS.
    demands_tls: bool | None = None
    tls_version: str = ""
    tls_cipher: str = ""
    #: Its documented account without a password, tried at clearance level 3 and only when asked for.
    default_account: Access | None = None
