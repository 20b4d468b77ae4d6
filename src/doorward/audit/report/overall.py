"""The verdict on all systems of an audit or a survey, and when it was made, in sentences.

An audit is judged from its systems; a survey, whose systems do not fit into memory, from its totals. Neither says that no
door is open while one is, or that a system is safe that nobody could ask.
"""

from collections.abc import Sequence
from datetime import datetime

from doorward.audit.report.figures import counted, plural
from doorward.audit.report.model import Report, ScanModel, TotalsModel
from doorward.audit.report.wording import Headline, Tone, headline


def summary(report: Report) -> Headline:
    """Return the verdict on the whole audit."""
    totals = report.totals
    tones = [headline(system).tone for system in report.systems]
    tone, sentence = _verdict(totals, tones)
    extra = " The audit was interrupted: what follows is incomplete." if _is_cut(report) else ""
    unknown = tones.count(Tone.UNKNOWN)
    if unknown and tone is not Tone.UNKNOWN:
        extra = f" {plural(unknown, 'system')} could not be tested, or not fully.{extra}"
    return Headline(
        tone=tone, sentence=sentence, explanation=f"{_lies_open(totals)}{extra}".strip()
    )


def _verdict(totals: TotalsModel, tones: Sequence[Tone]) -> tuple[Tone, str]:
    if totals.unprotected or totals.writable:
        return Tone.OPEN, _open_sentence(totals)
    if Tone.OPEN in tones:
        return Tone.OPEN, _otherwise_open(tones.count(Tone.OPEN))
    if Tone.WEAK in tones:
        return Tone.WEAK, _can_be_better(tones.count(Tone.WEAK))
    if Tone.SHUT in tones:
        shut = plural(tones.count(Tone.SHUT), "system")
        return Tone.SHUT, f"No open door was found in {shut}."
    return Tone.UNKNOWN, "Nothing could be tested."


def _is_cut(report: Report) -> bool:
    return report.scan.interrupted


def _open_sentence(totals: TotalsModel) -> str:
    systems = plural(totals.systems, "system")
    lets = "lets" if totals.writable == 1 else "let"
    if not totals.unprotected:
        return f"{totals.writable:,} of {systems} {lets} strangers add images."
    answers = "answers" if totals.unprotected == 1 else "answer"
    adds = f"; {totals.writable:,} {lets} them add images" if totals.writable else ""
    return f"{totals.unprotected:,} of {systems} {answers} strangers{adds}."


def _otherwise_open(number: int) -> str:
    stands = "stands" if number == 1 else "stand"
    return f"No archive answered strangers, but {plural(number, 'system')} {stands} open in another way."


def _can_be_better(number: int) -> str:
    return f"No archive answered strangers; {plural(number, 'system')} can be protected better."


def _lies_open(totals: TotalsModel) -> str:
    if not totals.studies.value:
        return ""
    studies = counted(totals.studies, "study", "studies")
    lie = "lies" if totals.studies.value == 1 else "lie"
    patients = (
        f" of {counted(totals.patients, 'patient', 'patients')}" if totals.patients.value else ""
    )
    images = (
        f"; {counted(totals.images_downloadable, 'image', 'images')} may be taken"
        if totals.images_downloadable.value
        else ""
    )
    return f"{_capital(studies)}{patients} {lie} open{images}."


def _capital(sentence: str) -> str:
    return f"{sentence[:1].upper()}{sentence[1:]}"


# --- a survey ---------------------------------------------------------------------------------------------------------


def survey_summary(scan: ScanModel, totals: TotalsModel) -> Headline:
    """Return the verdict on a whole survey."""
    tone, sentence = _survey_verdict(totals)
    parts = (
        _lies_open_where(totals),
        _unanswered(totals) if tone is not Tone.UNKNOWN else _none_answered(totals),
        _nobody_there(totals) if tone is not Tone.UNKNOWN else "",
        _left_out(totals),
        "The survey was stopped early: what follows is incomplete." if scan.interrupted else "",
    )
    return Headline(tone=tone, sentence=sentence, explanation=" ".join(p for p in parts if p))


def _survey_verdict(totals: TotalsModel) -> tuple[Tone, str]:
    if totals.unprotected or totals.writable:
        return Tone.OPEN, _open_sentence(totals)
    if totals.critical:
        return Tone.OPEN, _otherwise_open(totals.critical)
    if totals.weak:
        return Tone.WEAK, _can_be_better(totals.weak)
    if totals.tested:
        return Tone.SHUT, f"No open door was found in {plural(totals.tested, 'system')}."
    return Tone.UNKNOWN, "Nothing could be tested."


def _lies_open_where(totals: TotalsModel) -> str:
    """Return "24,300,000 studies with 737,000,000 images lie open in 52 countries; 400,000,000 images may be taken."."""
    if not totals.studies.value:
        return ""
    studies = counted(totals.studies, "study", "studies")
    images = f" with {counted(totals.images, 'image', 'images')}" if totals.images.value else ""
    lie = "lies" if totals.studies.value == 1 else "lie"
    countries = totals.exposed_countries
    where = f" in {plural(countries, 'country', 'countries')}" if countries else ""
    taken = totals.images_downloadable
    may = f"; {counted(taken, 'image', 'images')} may be taken" if taken.value else ""
    return f"{_capital(studies)}{images} {lie} open{where}{may}."


def _unanswered(totals: TotalsModel) -> str:
    if not totals.unanswered:
        return ""
    gave = plural(totals.unanswered, "system")
    their = "its" if totals.unanswered == 1 else "their"
    return f"{gave} gave no answer that can be judged: nothing is known about {their} safety."


def _none_answered(totals: TotalsModel) -> str:
    if not totals.systems:
        return ""
    asked = f"{plural(totals.systems, 'system')} {'was' if totals.systems == 1 else 'were'} asked"
    their = "its" if totals.systems == 1 else "their"
    return f"{asked} and no answer can be judged: nothing is known about {their} safety."


def _nobody_there(totals: TotalsModel) -> str:
    number = totals.systems - totals.tested - totals.unanswered
    if number <= 0:
        return ""
    return f"{plural(number, 'system')} showed nothing of an imaging system on the ports that were asked."


def _left_out(totals: TotalsModel) -> str:
    if not totals.left_out:
        return ""
    looks = "looks like a honeypot or a demonstration and is"
    look = "look like honeypots or demonstrations and are"
    return f"{plural(totals.left_out, 'more system')} {looks if totals.left_out == 1 else look} not counted."


# --- when -------------------------------------------------------------------------------------------------------------


def finished_at(scan: ScanModel) -> str:
    """Return "14 March 2026, 09:27 UTC"."""
    moment = datetime.fromisoformat(scan.finished_at)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def duration(scan: ScanModel) -> str:
    """Return how long it took: "38 seconds", "12 minutes"."""
    started = datetime.fromisoformat(scan.started_at)
    seconds = round((datetime.fromisoformat(scan.finished_at) - started).total_seconds())
    return plural(seconds, "second") if seconds < 120 else plural(round(seconds / 60), "minute")
