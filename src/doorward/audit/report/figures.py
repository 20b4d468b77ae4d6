"""The numbers of a report, each with how far it may be trusted; a number that is not known is never a nought."""

from dataclasses import dataclass
from itertools import chain

from doorward.audit.report.model import CountModel, SystemModel, TotalsModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number of a report: "studies", "at least", "1,234", and how far it may be trusted."""

    label: str
    prefix: str
    number: str
    trust: str
    method: str

    @property
    def value(self) -> str:
        """The prefix and the number: "at least 1,234"."""
        return f"{self.prefix} {self.number}".strip()


_TRUST = {
    "exact_counter": "exact, by the archive's own counter",
    "exact_enumerated": "exact, counted one by one",
    "at_least": "a lower bound: there may be more",
    "estimated": "an estimate",
}
_PREFIX = {"at_least": "at least", "estimated": "about"}


def amount(count: CountModel) -> str:
    """Return "1,234", "at least 1,234", "about 1,234" or "not known"."""
    return _figure("", count).value


_SIGN = {"at_least": "≥", "estimated": "≈"}


def cell(count: CountModel) -> str:
    """Return the same for a table: "1,234", "≥1,234", "≈1,234" or "not known"."""
    known = "not known" if count.value is None else f"{count.value:,}"
    return f"{_SIGN.get(count.exactness, '')}{known}"


def figures(
    patients: CountModel, studies: CountModel, images: CountModel, downloadable: CountModel
) -> tuple[Figure, ...]:
    """Return the four numbers of a system or of the totals."""
    labelled = (
        ("patients", patients),
        ("studies", studies),
        ("images", images),
        ("images that can be taken", downloadable),
    )
    return tuple(_figure(label, count) for label, count in labelled)


def _figure(label: str, count: CountModel) -> Figure:
    return Figure(
        label=label,
        prefix=_PREFIX.get(count.exactness, ""),
        number="not known" if count.value is None else f"{count.value:,}",
        trust="" if count.value is None else _TRUST[count.exactness],
        method=count.method,
    )


def system_figures(system: SystemModel) -> tuple[Figure, ...]:
    """Return the numbers of a system whose studies a stranger can see; of others there are none."""
    counts = system.counts
    if "E5" not in system.ladder:
        return ()
    return figures(counts.patients, counts.studies, counts.images, counts.images_downloadable)


def plural(number: int, one: str, many: str = "") -> str:
    """Return "1 study" or "1,234 studies"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def counted(count: CountModel, one: str, many: str) -> str:
    """Return "1 study" or "at least 1,234 studies"."""
    return f"{amount(count)} {one if count.value == 1 else many}"


def survey_figures(totals: TotalsModel) -> tuple[Figure, ...]:
    """Return the numbers of a survey: systems first, then what lies behind them, then what is set apart."""
    of_systems = f"of {plural(totals.systems, 'system')}; {totals.speaking_dicom:,} speaking DICOM"
    first = (
        _plain("open to strangers", totals.unprotected, of_systems),
        _plain("giving images away", totals.downloadable, "to whoever asks"),
        _plain("letting strangers add images", totals.writable, "so they said; nothing was sent"),
    )
    countries = _plain("countries", totals.exposed_countries, "with a system open to strangers")
    middle = figures(totals.patients, totals.studies, totals.images, totals.images_downloadable)
    last = (
        _plain("open viewers over plain HTTP", totals.web_viewers_plain_http, "without a login"),
        _plain("showing lists of files", totals.file_listings, "by HTTP, WebDAV or FTP"),
        _plain("without an answer to judge by", totals.unanswered, "not known to be safe"),
        _plain("looking like honeypots", totals.left_out, "set apart, in no other number"),
    )
    # Where nobody answers strangers nothing was counted, and "0 studies, exact" would sound like safety.
    is_counted = totals.unprotected or any(figure.number not in _NOTHING for figure in middle)
    shown = (
        first,
        (countries,) if totals.exposed_countries else (),
        middle if is_counted else (),
    )
    return (*chain.from_iterable(shown), *(f for f in last if f.number != "0"))


_NOTHING = ("0", "not known")


def _plain(label: str, number: int, trust: str) -> Figure:
    return Figure(label=label, prefix="", number=f"{number:,}", trust=trust, method="")
