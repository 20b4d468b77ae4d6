"""What a survey came to, out of its tables: facts to judge anew, coverage for the report, progress for the screen."""

from collections import Counter
from collections.abc import Iterator

from doorward.audit.codec import from_json
from doorward.audit.facts import Outcome, SystemFacts
from doorward.audit.ledger.records import Coverage, Progress
from doorward.audit.ledger.scans import Scans
from doorward.audit.ledger.store import Store
from doorward.audit.ledger.systems import Systems
from doorward.audit.targets import Target
from doorward.errors import ConfigError


def facts(
    store: Store, scan: int, *, with_unfinished: bool = False
) -> Iterator[tuple[int, SystemFacts]]:
    """Yield number and facts of every finished system; ``with_unfinished``: also those whose visit was cut short."""
    row = Scans(store).row(scan)
    if not row.has_answers:
        message = f"has only the verdicts of survey {scan}: its answers were pruned"
        raise ConfigError(message, file=store.file)
    systems = Systems(store)
    last, most = 0, store.limits.ledger_systems_at_a_time
    while True:
        page = store.rows(
            "SELECT number, address, target, coalesce(clearance_level, ?) FROM systems"
            " WHERE scan = ? AND number > ? AND is_done >= ? ORDER BY number LIMIT ?",
            (row.plan.clearance_level, scan, last, int(not with_unfinished), most),
        )
        answers = systems.answers([number for number, *_ in page])
        for number, address, target, level in page:
            if number in answers:
                host = from_json(Target, target, file=store.file).host
                name = "" if host == address else host
                yield (
                    number,
                    SystemFacts(
                        address=address,
                        name=name,
                        clearance_level=level,
                        attempts=answers[number],
                    ),
                )
        if len(page) < most:
            return
        last = page[-1][0]


def coverage(store: Store, scan: int) -> Coverage:
    """Return how much was asked and answered; kept where the answers themselves were pruned."""
    scans = Scans(store)
    row = scans.row(scan)
    frozen = scans.frozen_coverage(scan)
    if frozen is not None:
        return frozen
    ended: Counter[str] = Counter()
    connections = 0
    for outcome, number, opened in store.rows(
        f"SELECT outcome, count(*), sum(connections) {_ANSWERS} GROUP BY outcome", (scan,)
    ):
        ended[outcome] = number
        connections += opened
    ports = f"SELECT count(*) FROM (SELECT DISTINCT system, port {_ANSWERS})"  # noqa: S608 - our own words
    return Coverage(
        targets=row.targets or 0,
        systems=store.row("SELECT count(*) FROM verdicts WHERE scan = ?", (scan,))[0],
        ports=store.row(ports, (scan,))[0],
        connections=connections,
        questions_answered=ended[Outcome.ANSWERED],
        questions_inconclusive=ended[Outcome.INCONCLUSIVE],
        questions_failed=ended[Outcome.ERROR],
        questions_not_asked=ended[Outcome.NOT_TESTED],
    )


_ANSWERS = "FROM systems JOIN answers ON answers.system = systems.number WHERE systems.scan = ?"


def progress(store: Store, scan: int) -> Progress:
    """Return how far a survey has come, by counting: some milliseconds for each 10,000 systems."""
    systems, done = store.row(
        "SELECT count(*), coalesce(sum(is_done), 0) FROM systems WHERE scan = ?", (scan,)
    )
    answers, connections = store.row(
        f"SELECT count(*), coalesce(sum(connections), 0) {_ANSWERS}", (scan,)
    )
    suspected, unprotected = store.row(
        "SELECT coalesce(sum(is_suspected), 0),"
        " coalesce(sum(is_unprotected AND NOT is_suspected), 0) FROM verdicts WHERE scan = ?",
        (scan,),
    )
    rungs: Counter[str] = Counter()
    for reached, number in store.rows(
        "SELECT rungs, count(*) FROM verdicts WHERE scan = ? AND NOT is_suspected GROUP BY rungs",
        (scan,),
    ):
        for rung in reached.split():
            rungs[rung] += number
    return Progress(
        systems=systems,
        done=done,
        answers=answers,
        connections=connections,
        unprotected=unprotected,
        suspected=suspected,
        rungs=dict(rungs),
    )
