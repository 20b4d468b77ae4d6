"""What kinds of archives there are to practise on.

Theory of operation: a persona is a value; ``archive``, ``strangers``, ``web`` and ``ftp`` behave as it says. ``rungs`` is
what an audit at level 2 by a stranger (no title given, no certificate) must find: the tests hold the auditor against it, the
demo shows it. Most personas are one real archive's habit, isolated; where a product is known for it, the description
names it.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from doorward.net.client import IMPLEMENTATION_CLASS_UID

#: Not the auditor's version name: a practice archive must be told apart in a log.
VERSION_NAME = "DOORWARD_PRACT"


class Speaks(StrEnum):
    """What answers on the port."""

    DICOM = "dicom"
    HTTP = "http"
    SSH = "ssh"
    VIEWER = "viewer"  # HTTP: a viewer's page without a login
    LISTING = "listing"  # HTTP: a list of image files
    WEB = "web"  # HTTP: a front page and nothing else
    FTP = "ftp"
    NOTHING = "nothing"  # takes the connection and never says a word
    REFUSED = "refused"  # nobody listens
    FILTERED = "filtered"  # nothing ever comes back


#: What answers HTTP.
WEB_SPEAKERS = frozenset({Speaks.HTTP, Speaks.VIEWER, Speaks.LISTING, Speaks.WEB})


class Admits(StrEnum):
    """Whose association request is accepted."""

    ANYBODY = "anybody"
    CALLED_TITLE = "called_title"  # whoever knows the archive's own title
    KNOWN_CALLER = "known_caller"  # whoever uses the one calling title that is listed
    USER = (
        "user"  # whoever names the one user and the password (user identity, PS3.7 section D.3.3.7)
    )
    NOBODY = "nobody"


class TlsDemand(StrEnum):
    """What has to happen before the first PDU."""

    NONE = "none"
    SERVER = "server"  # TLS, any client
    MUTUAL = "mutual"  # TLS with a client certificate of the practice authority


class Returns(StrEnum):
    """Which attributes a match carries."""

    ASKED = "asked"
    EVERYTHING = "everything"  # every patient and study attribute, whatever was asked
    OWN_CHOICE = "own_choice"  # the same short list always, whatever was asked


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryManners:
    """How C-FIND is answered, beside the truth."""

    #: A-ABORT by the application when the command arrives, as Orthanc does for what is not allowed.
    aborts_at_once: bool = False
    #: The request is taken and nothing ever comes back.
    is_silent: bool = False
    returns: Returns = Returns.ASKED
    #: (0020,1208) and its kin are never returned (DCMTK's dcmqrscp).
    hides_counts: bool = False
    #: Most matches of one query, and the status that then ends it.
    at_most: int | None = None
    at_most_status: int = 0x0000
    final_status: int = 0x0000
    #: A-ABORT after so many matches.
    aborts_after: int | None = None
    #: Matches go on far beyond the holding: ten million of them.
    is_endless: bool = False
    #: Whatever date and time is asked for, every study matches.
    ignores_dates: bool = False
    #: Seconds before each match.
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """One kind of archive."""

    name: str
    description: str  # one sentence for people
    rungs: tuple[str, ...]  # what a stranger's audit at level 2 must find
    speaks: Speaks = Speaks.DICOM
    admits: Admits = Admits.ANYBODY
    tls: TlsDemand = TlsDemand.NONE
    #: Association requests to reject as congestion (2/3/1) before the first is accepted; None: all of them.
    rejections: int | None = 0
    #: echo | find | get | move | store: the services whose contexts are accepted.
    services: tuple[str, ...] = ("echo", "find", "get", "move", "store")
    #: Study | patient: the query models that are offered.
    models: tuple[str, ...] = ("study", "patient")
    #: Every context is accepted, also of SOP classes that do not exist.
    accepts_every_context: bool = False
    query: QueryManners = field(default_factory=QueryManners)
    #: Over how many days the studies are spread.
    days: int = 365
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID
    implementation_version_name: str = VERSION_NAME
    #: What a web or FTP server calls itself.
    banner: str = ""


_DOWNLOADABLE = ("E1", "E2", "E3", "E4", "E5", "E6", "T")
_EVERYTHING = ("E1", "E2", "E3", "E4", "E5", "E6", "E7", "T")

_ALL = (
    Persona(
        name="open",
        description="Answers every stranger, gives every image away and takes whatever is sent.",
        rungs=_EVERYTHING,
    ),
    Persona(
        name="read-only",
        description="Answers every stranger and gives every image away, but takes none.",
        rungs=_DOWNLOADABLE,
        services=("echo", "find", "get", "move"),
    ),
    Persona(
        name="query-only",
        description="Lists every study to every stranger, but gives no image away.",
        rungs=("E1", "E2", "E3", "E4", "E5", "T"),
        services=("echo", "find"),
    ),
    Persona(
        name="store-only",
        description="Agrees to everything, aborts at a query, and takes images from anybody: Orthanc as shipped.",
        rungs=("E1", "E2", "E3", "E4", "E7", "T"),
        query=QueryManners(aborts_at_once=True),
    ),
    Persona(
        name="echo-only",
        description="Lets anybody in, and answers nothing but an echo.",
        rungs=("E1", "E2", "E3", "T"),
        services=("echo",),
    ),
    Persona(
        name="patient-root-only",
        description="Answers every stranger, but knows only the patient root of the query models.",
        rungs=_DOWNLOADABLE,
        models=("patient",),
        services=("echo", "find", "get", "move"),
    ),
    Persona(
        name="called-checked",
        description="Lets in whoever calls it by its own AE title, which is printed on every machine.",
        rungs=("E1", "E2", "T"),
        admits=Admits.CALLED_TITLE,
    ),
    Persona(
        name="calling-checked",
        description="Lets in whoever uses one calling AE title that is on its list.",
        rungs=("E1", "E2", "T"),
        admits=Admits.KNOWN_CALLER,
    ),
    Persona(
        name="closed",
        description="Speaks DICOM and turns everybody away.",
        rungs=("E1", "E2", "T"),
        admits=Admits.NOBODY,
    ),
    Persona(
        name="password",
        description="Lets in whoever names a user and a password with the association request.",
        rungs=("E1", "E2", "T"),
        admits=Admits.USER,
    ),
    Persona(
        name="tls",
        description="Encrypted, and open to every stranger all the same: TLS alone is no lock.",
        rungs=("E1", "E2", "E3", "E4", "E5", "E6", "E7"),
        tls=TlsDemand.SERVER,
    ),
    Persona(
        name="tls-checked",
        description="Encrypted, and lets in whoever uses one calling AE title that is on its list.",
        rungs=("E1", "E2"),
        admits=Admits.KNOWN_CALLER,
        tls=TlsDemand.SERVER,
    ),
    Persona(
        name="mutual-tls",
        description="Asks every caller for a certificate first: how it should be.",
        rungs=("E1",),
        tls=TlsDemand.MUTUAL,
    ),
    Persona(
        name="congested",
        description="Too busy for anybody, always: says nothing about who would be let in.",
        rungs=("E1", "E2", "T"),
        rejections=None,
    ),
    Persona(
        name="busy-twice",
        description="Too busy for the first two callers, then open.",
        rungs=_EVERYTHING,
        rejections=2,
    ),
    Persona(
        name="capped-100",
        description="Open, but ends every answer at 100 matches and calls that all there is.",
        rungs=_EVERYTHING,
        query=QueryManners(at_most=100),
    ),
    Persona(
        name="capped-500",
        description="Open, but ends every answer at 500 matches and calls that all there is.",
        rungs=_EVERYTHING,
        query=QueryManners(at_most=500),
    ),
    Persona(
        name="capped-aloud",
        description="Open, but ends every answer at 60 matches and says so (FE00): Orthanc with LimitFindResults.",
        rungs=_EVERYTHING,
        query=QueryManners(at_most=60, at_most_status=0xFE00),
    ),
    Persona(
        name="one-day",
        description="Open, ends every answer at 100 matches and says so, and examined everybody on one day.",
        rungs=_EVERYTHING,
        query=QueryManners(at_most=100, at_most_status=0xFE00),
        days=1,
    ),
    Persona(
        name="ignores-dates",
        description="Open, ends every answer at 100 matches, and does not heed the date that it is asked for.",
        rungs=_EVERYTHING,
        query=QueryManners(at_most=100, ignores_dates=True),
    ),
    Persona(
        name="no-image-counts",
        description="Open, but never says how many images a study has: dcmqrscp.",
        rungs=_EVERYTHING,
        query=QueryManners(hides_counts=True),
    ),
    Persona(
        name="chatty",
        description="Sends every attribute of patient and study with each match, whatever was asked for.",
        rungs=_EVERYTHING,
        query=QueryManners(returns=Returns.EVERYTHING),
    ),
    Persona(
        name="ignores-return-keys",
        description="Sends its own short list of attributes with each match, whatever was asked for.",
        rungs=_EVERYTHING,
        query=QueryManners(returns=Returns.OWN_CHOICE, hides_counts=True),
    ),
    Persona(
        name="warning-status",
        description="Open, and ends every answer with a warning status (B000).",
        rungs=_EVERYTHING,
        query=QueryManners(final_status=0xB000),
    ),
    Persona(
        name="failing",
        description="Open, but runs out of resources (A700) after 250 matches.",
        rungs=_EVERYTHING,
        query=QueryManners(at_most=250, at_most_status=0xA700),
    ),
    Persona(
        name="aborting",
        description="Open, but ends the association in the middle of every longer answer.",
        rungs=_EVERYTHING,
        query=QueryManners(aborts_after=120),
    ),
    Persona(
        name="endless",
        description="Open, and never stops answering.",
        rungs=_EVERYTHING,
        query=QueryManners(is_endless=True),
    ),
    Persona(
        name="slow",
        description="Open, at less than five hundred matches a second.",
        rungs=_EVERYTHING,
        query=QueryManners(delay_s=0.002),
    ),
    Persona(
        name="half-silent",
        description="Lets anybody in, answers an echo, and never answers a query.",
        rungs=("E1", "E2", "E3", "E4", "E7", "T"),
        query=QueryManners(is_silent=True),
    ),
    Persona(
        name="honeypot",
        description="Agrees to anything, also to what does not exist, under the name of a known honeypot.",
        rungs=_EVERYTHING,
        accepts_every_context=True,
        implementation_class_uid="1.2.826.0.1.3680043.9.7133.1.1",
        implementation_version_name="GODICOM_1_1",
    ),
    Persona(
        name="demo",
        description="A demonstration: the toolkit of demonstrations, which agrees to anything.",
        rungs=(*_EVERYTHING, "V"),
        accepts_every_context=True,
        implementation_class_uid="1.2.826.0.1.3680043.9.3811.1.4.1",
        implementation_version_name="PYNETDICOM_141",
    ),
    Persona(
        name="silent",
        description="Takes connections and never says a word.",
        rungs=("E1",),
        speaks=Speaks.NOTHING,
    ),
    Persona(
        name="http",
        description="A web server on a DICOM port.",
        rungs=("E1",),
        speaks=Speaks.HTTP,
    ),
    Persona(
        name="ssh",
        description="An SSH server on a DICOM port.",
        rungs=("E1",),
        speaks=Speaks.SSH,
    ),
    Persona(
        name="viewer",
        description="A web viewer over plain HTTP that asks nobody for a login.",
        rungs=("E1", "W2"),
        speaks=Speaks.VIEWER,
    ),
    Persona(
        name="listing",
        description="A web server that shows everybody its list of image files.",
        rungs=("E1", "W3", "V"),
        speaks=Speaks.LISTING,
        banner="Apache/2.2.15 (CentOS)",
    ),
    Persona(
        name="old-web",
        description="A web server whose maker stopped to repair it years ago.",
        rungs=("E1", "V"),
        speaks=Speaks.WEB,
        banner="Microsoft-IIS/7.5",
    ),
    Persona(
        name="refused",
        description="An address where nobody listens: connections are refused.",
        rungs=(),
        speaks=Speaks.REFUSED,
    ),
    Persona(
        name="filtered",
        description="An address that never answers, as behind a packet filter.",
        rungs=("E0",),
        speaks=Speaks.FILTERED,
    ),
)
#: Asked about only on its own port (21), so it stands beside an archive and is none to start by name.
FTP = Persona(
    name="ftp",
    description="An FTP server that lets anonymous in and lists image files.",
    rungs=("E1", "W3"),
    speaks=Speaks.FTP,
    banner="(vsFTPd 2.2.2)",
)

#: Every persona by its name, in the order in which they are listed.
PERSONAS = {persona.name: persona for persona in _ALL}
