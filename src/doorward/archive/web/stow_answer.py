"""What is said about a STOW request: the Store Instances Response Module, and the status before it (PS3.18 Annex I, 10.5.3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.responses import JSONResponse, Response

from doorward.archive.ingest import NOT_AUTHORISED, SUCCESS, Taken
from doorward.archive.web.refusals import refusal
from doorward.errors import DoorwardError, LimitExceeded
from doorward.limits import DEFAULT_LIMITS, Limits

DICOM_JSON = "application/dicom+json"

_RETRIEVE_URL = "00081190"
_FAILED_SOP_SEQUENCE = "00081198"
_REFERENCED_SOP_SEQUENCE = "00081199"
_OTHER_FAILURES_SEQUENCE = "0008119A"
_WARNING_REASON = "00081196"
_FAILURE_REASON = "00081197"
_REFERENCED_SOP_CLASS_UID = "00081150"
_REFERENCED_SOP_INSTANCE_UID = "00081155"

#: Failure Reason (PS3.18 Table I.2-2): out of resources; cannot understand.
_OUT_OF_RESOURCES = 0xA700
_NOT_UNDERSTOOD = 0xC000
#: What a body that has too much in it exceeds.
_TOO_LARGE = frozenset({"stow_bytes", "stow_instances", "stow_s"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stowed:
    """What came of one request: its instances as they came, and what ended it early."""

    taken: Sequence[Taken]
    fault: DoorwardError | None = None


def answer_to(stowed: Stowed, base_url: str, limits: Limits = DEFAULT_LIMITS) -> Response:
    """Return the answer; ``base_url`` is that of the service, without a slash at its end."""
    status = _status(stowed)
    if status == 403:
        return refusal(403, stowed.taken[0].answer.comment)
    answer = JSONResponse(_module(stowed, base_url), status_code=status, media_type=DICOM_JSON)
    if status == 503:
        answer.headers["Retry-After"] = str(round(limits.web_unstored_retry_s))
    return answer


def _status(stowed: Stowed) -> int:
    """Return the status by PS3.18 Table 10.5.3-1, and where that has no word by section 8.5."""
    answers = [one.answer.status for one in stowed.taken]
    is_stored = [one.outcome is not None for one in stowed.taken]
    if any(is_stored):
        is_all_well = stowed.fault is None and set(answers) == {SUCCESS.status}
        return 200 if is_all_well else 202
    if isinstance(stowed.fault, LimitExceeded):
        return 413 if stowed.fault.limit in _TOO_LARGE else 400
    if stowed.fault is not None or set(answers) <= {_NOT_UNDERSTOOD}:
        return 400
    if set(answers) == {NOT_AUTHORISED}:
        return 403
    # The table has no word for a full disk: as at every other door (``app``).
    return 503 if all(one.is_our_fault for one in stowed.taken) else 409


def _module(stowed: Stowed, base_url: str) -> dict[str, Any]:
    stored = [one for one in stowed.taken if one.outcome is not None]
    failed = [one for one in stowed.taken if one.outcome is None]
    module: dict[str, Any] = {}
    studies = {one.study_uid for one in stored}
    if len(studies) == 1:
        url = f"{base_url}/studies/{quote(studies.pop(), safe='')}"
        module[_RETRIEVE_URL] = _value("UR", url)
    named = [_failure(one) for one in failed if one.sop_instance_uid]
    others = [_reason(one.answer.status) for one in failed if not one.sop_instance_uid]
    if stowed.fault is not None:
        is_ours = isinstance(stowed.fault, LimitExceeded)
        others.append(_reason(_OUT_OF_RESOURCES if is_ours else _NOT_UNDERSTOOD))
    for tag, items in (
        (_FAILED_SOP_SEQUENCE, named),
        (_REFERENCED_SOP_SEQUENCE, [_success(one, base_url) for one in stored]),
        (_OTHER_FAILURES_SEQUENCE, others),
    ):
        if items:
            module[tag] = {"vr": "SQ", "Value": items}
    return module


def _value(vr: str, value: str | int) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]} if value != "" else {"vr": vr}


def _reason(status: int) -> dict[str, Any]:
    return {_FAILURE_REASON: _value("US", status)}


def _named(taken: Taken) -> dict[str, Any]:
    return {
        _REFERENCED_SOP_CLASS_UID: _value("UI", taken.sop_class_uid),
        _REFERENCED_SOP_INSTANCE_UID: _value("UI", taken.sop_instance_uid),
    }


def _failure(taken: Taken) -> dict[str, Any]:
    return _named(taken) | _reason(taken.answer.status)


def _success(taken: Taken, base_url: str) -> dict[str, Any]:
    uids = (taken.study_uid, taken.series_uid, taken.sop_instance_uid)
    study, series, instance = (quote(uid, safe="") for uid in uids)
    url = f"{base_url}/studies/{study}/series/{series}/instances/{instance}"
    item = _named(taken) | {_RETRIEVE_URL: _value("UR", url)}
    if taken.answer.status != SUCCESS.status:
        item[_WARNING_REASON] = _value("US", taken.answer.status)
    return item
