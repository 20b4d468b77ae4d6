"""What the web probes saw, as values without judgement, without patient data and without any text of the peer.

Only numbers, enums, paths and names of our own tables, and versions made of digits and dots are held here: a page's title or
a header may carry anything, so what matched a signature is kept, and the text is not.
"""

from dataclasses import dataclass
from enum import StrEnum

from doorward.audit.tally import UNKNOWN_COUNT, Count


class Access(StrEnum):
    """What a request without any login met."""

    OPEN = "open"  # answered as only the thing itself answers, shown against a control
    LOGIN = "login"  # 401, 403, a redirect to a login, a page with a password field
    ABSENT = "absent"  # not there
    UNCLEAR = "unclear"  # answered, but not in a way that only the thing itself would
    SILENT = "silent"  # no usable answer: nothing is known


class Redirect(StrEnum):
    """Where the front page sends its visitors."""

    NONE = "none"
    SAME_DOOR = "same_door"  # another path of this port
    HTTPS = "https"  # the same host over TLS, on another port
    ELSEWHERE = "elsewhere"  # another host or port: never followed


@dataclass(frozen=True, slots=True, kw_only=True)
class WebProduct:
    """A product that a signature names."""

    product: str
    key: str  # of a remediation text, or ""
    kind: str  # archive | viewer | server
    version: str  # digits and dots, or ""
    certainty: str  # likely | possible
    shown_by: str  # title | realm | header | cookie | script | favicon | system


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerFacts:
    """A page of a viewer or of an archive, and how it received us."""

    product: str
    path: str  # of our own list
    access: Access


@dataclass(frozen=True, slots=True, kw_only=True)
class RestFacts:
    """The own interface of an archive."""

    product: str
    key: str
    access: Access
    version: str = ""
    #: The product says of itself that only its own machine is served without a login; None: it does not say.
    is_local_only: bool | None = None
    patients: Count = UNKNOWN_COUNT
    studies: Count = UNKNOWN_COUNT
    images: Count = UNKNOWN_COUNT


@dataclass(frozen=True, slots=True, kw_only=True)
class WebFacts:
    """The front page of one port, what it shows, and what stands behind it."""

    speaks_http: bool
    over_tls: bool
    front: Access
    redirect: Redirect = Redirect.NONE
    #: A made-up path is answered like any page: what this door answers with 200 proves nothing by itself.
    answers_anything: bool = False
    products: tuple[WebProduct, ...] = ()
    viewers: tuple[ViewerFacts, ...] = ()
    rest: tuple[RestFacts, ...] = ()
    #: max-age of Strict-Transport-Security; None: the header is missing
    hsts_max_age_s: int | None = None
    requests: int = 0

    @property
    def has_imaging(self) -> bool:
        """Something of imaging stands here, not only a web server."""
        return bool(self.viewers or self.rest) or any(p.kind != "server" for p in self.products)


class Cors(StrEnum):
    """Whom the answer lets read it from within a browser (Fetch standard, CORS protocol)."""

    NONE = "none"
    ANY = "any"  # Access-Control-Allow-Origin: *
    REFLECTED = "reflected"  # our made-up origin came back
    REFLECTED_WITH_CREDENTIALS = "reflected_with_credentials"


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomWebRoot:
    """One DICOMweb service (PS3.18) under one root."""

    root: str
    qido: Access
    wado: Access = Access.UNCLEAR
    stow: Access = Access.UNCLEAR
    #: Methods that OPTIONS on a made-up study names, of those we know.
    methods: tuple[str, ...] = ()
    cors: Cors = Cors.NONE
    #: A query for a made-up study was answered with studies: the filter is not applied.
    ignores_filter: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomWebFacts:
    """Every DICOMweb root that was tried, and what lies behind the open one that shows most."""

    roots: tuple[DicomWebRoot, ...]
    over_tls: bool = False
    studies: Count = UNKNOWN_COUNT
    images: Count = UNKNOWN_COUNT
    patients: Count = UNKNOWN_COUNT
    #: Most attributes beyond the two asked ones seen in any study; none was read.
    extra_attributes: int = 0
    requests: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleFacts:
    """A management console."""

    console: str
    path: str
    access: Access


@dataclass(frozen=True, slots=True, kw_only=True)
class WebHygieneFacts:
    """What stands on a web port beside the imaging itself."""

    over_tls: bool
    consoles: tuple[ConsoleFacts, ...] = ()
    wado_uri: Access = Access.ABSENT
    requests: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DebuggerFacts:
    """Whether the port shakes hands as a Java debugger (JDWP)."""

    is_jdwp: bool
