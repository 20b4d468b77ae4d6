"""Records of the journal as DICOM audit messages: XML by the schema of PS3.15 A.5.1, contents by PS3.15 A.5.3.

Theory of operation: one table says which message an event becomes, and who takes part in it; three kinds of objects are
named: the studies, the query (its keys, without their values, as a data set of empty elements) and the journal record
itself with its digest, so that a collector outside holds an anchor with every message.

Deliberately not done: PS3.15 asks for the patient beside the studies (A.5.3.3, .6, .7, .8). The journal holds no patient; a
collector that must know asks the archive about the Study Instance UID. Opening and closing an association is no message
of PS3.15 (a refused one is a Security Alert); RFC 3881's schema with ``code`` in the place of ``csd-code`` is not written.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple

from doorward.access.journal.record import Entry, Event, Outcome, Record, format_time
from doorward.wire.uids import IMPLICIT_VR_LITTLE_ENDIAN

#: What XML 1.0 does not allow (section 2.2); everything else is escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
_ESCAPES |= {"\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
_TRANSLATION = str.maketrans(_ESCAPES)


class Code(NamedTuple):
    """A coded value: CodedValueType of the schema."""

    value: str
    meaning: str
    scheme: str = "DCM"


class _Message(NamedTuple):
    """The EventIdentification of one event (PS3.15 A.5.3; CID 400 and 401 of PS3.16)."""

    event: Code
    action: str
    type: Code | None = None


_ACTIVITY = Code("110100", "Application Activity")
_LOG_USED = Code("110101", "Audit Log Used")
_TRANSFERRED = Code("110104", "DICOM Instances Transferred")
_ALERT = Code("110113", "Security Alert")
_AUTHENTICATION = Code("110114", "User Authentication")
_LOGIN = Code("110122", "Login")
_USER_CHANGED = Code("110137", "User security Attributes Changed")

MESSAGES: Mapping[Event, _Message] = {
    Event.START: _Message(_ACTIVITY, "E", Code("110120", "Application Start")),
    Event.STOP: _Message(_ACTIVITY, "E", Code("110121", "Application Stop")),
    Event.ASSOCIATION_REFUSED: _Message(_ALERT, "E", Code("110126", "Node Authentication")),
    Event.LOGIN: _Message(_AUTHENTICATION, "E", _LOGIN),
    Event.LOGIN_FAILED: _Message(_AUTHENTICATION, "E", _LOGIN),
    Event.LOGOUT: _Message(_AUTHENTICATION, "E", Code("110123", "Logout")),
    Event.LOCKED: _Message(_ALERT, "E", _USER_CHANGED),
    Event.QUERY: _Message(Code("110112", "Query"), "E"),
    Event.TRANSFER_BEGUN: _Message(Code("110102", "Begin Transferring DICOM Instances"), "E"),
    Event.RETRIEVE: _Message(_TRANSFERRED, "R"),
    Event.MOVE: _Message(_TRANSFERRED, "R"),
    Event.STORE: _Message(_TRANSFERRED, "C"),
    Event.COMMIT: _Message(Code("110103", "DICOM Instances Accessed"), "R"),
    Event.DELETE: _Message(Code("110105", "DICOM Study Deleted"), "D"),
    Event.EXPORT: _Message(Code("110106", "Export"), "R"),
    Event.REFUSAL: _Message(_ALERT, "E", Code("110132", "Use of Restricted Function")),
    Event.SETTINGS_CHANGED: _Message(_ALERT, "E", Code("110129", "Security Configuration")),
    Event.DEVICE_CHANGED: _Message(_ALERT, "E", Code("110128", "Network Configuration")),
    Event.PERSON_CHANGED: _Message(_ALERT, "E", _USER_CHANGED),
    Event.JOURNAL_READ: _Message(_LOG_USED, "R"),
    Event.JOURNAL_EXPORTED: _Message(_LOG_USED, "R"),
    Event.CLOCK_JUMP: _Message(_ALERT, "E", Code("110131", "Software Configuration")),
    Event.UPKEEP: _Message(_ALERT, "E", Code("110131", "Software Configuration")),
    Event.JOURNAL_RECOVERED: _Message(_ALERT, "E", Code("110134", "Audit Recording Started")),
    Event.SPOOL_FULL: _Message(_ALERT, "E", Code("110133", "Audit Recording Stopped")),
}
_APPLICATION, _LAUNCHER = Code("110150", "Application"), Code("110151", "Application Launcher")
_DESTINATION, _SOURCE = Code("110152", "Destination Role ID"), Code("110153", "Source Role ID")
_DESTINATION_MEDIA = Code("110154", "Destination Media")
_STUDY = Code("110180", "Study Instance UID")
_SOP_CLASS = Code("110181", "SOP Class UID")
_NODE = Code("110182", "Node ID")
_URI_MEDIUM = Code("110037", "URI")
_USER, _URI = Code("11", "User Identifier", "RFC-3881"), Code("12", "URI", "RFC-3881")
#: RFC 5424 section 6.2.1, as PS3.15 A.6 uses it: notice; warning for what did not succeed.
_NOTICE, _WARNING = 5, 4
_SYSTEM_OBJECT, _REPORT, _SECURITY_RESOURCE = "2", "3", "13"
#: Events that never are a success, whatever was said of their outcome.
_FAILURES = frozenset(
    {Event.ASSOCIATION_REFUSED, Event.LOGIN_FAILED, Event.LOCKED, Event.REFUSAL, Event.SPOOL_FULL}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSource:
    """Who reports: the archive, its process, its AE titles, and the site that it serves."""

    source_id: str
    process: str
    ae_titles: tuple[str, ...] = ()
    site: str = ""


def audit_message(record: Record, source: AuditSource) -> bytes | None:
    """Return the record as an XML document in UTF-8, None for an event that PS3.15 has no message for."""
    message = MESSAGES.get(record.entry.event)
    if message is None:
        return None
    children = [
        _event_identification(record, message),
        *_participants(record.entry, source),
        _source_identification(source),
        *_objects(record),
    ]
    document = _element("AuditMessage", {}, *children)
    return f'<?xml version="1.0" encoding="UTF-8"?>{document}'.encode()


def severity(entry: Entry) -> int:
    """Return the severity that the message has in syslog (RFC 5424 section 6.2.1)."""
    return _NOTICE if _has_succeeded(entry) else _WARNING


# --- who and what -----------------------------------------------------------------------------------------------------


def _event_identification(record: Record, message: _Message) -> str:
    entry = record.entry
    succeeded = _has_succeeded(entry)
    attributes = {
        "EventActionCode": message.action,
        "EventDateTime": format_time(record.time),
        "EventOutcomeIndicator": "0" if succeeded else "4",
    }
    children = [_coded("EventID", message.event)]
    if message.type is not None:
        children.append(_coded("EventTypeCode", message.type))
    if entry.reason and not succeeded:
        children.append(_element("EventOutcomeDescription", {}, _escaped(entry.reason)))
    return _element("EventIdentification", attributes, *children)


def _has_succeeded(entry: Entry) -> bool:
    return entry.outcome is Outcome.SUCCESS and entry.event not in _FAILURES


def _participants(entry: Entry, source: AuditSource) -> list[str]:
    """Return who took part: the caller, the archive, and whoever else images went to."""
    event = entry.event
    if event in (Event.START, Event.STOP):
        launcher = [_caller(entry, _LAUNCHER)] if entry.identity else []
        return [_archive(source, _APPLICATION), *launcher]
    if event is Event.EXPORT:
        medium = _element("MediaIdentifier", {}, _coded("MediaType", _URI_MEDIUM))
        target = _participant(entry.destination or "download", _DESTINATION_MEDIA, medium=medium)
        return [_caller(entry), _archive(source, _SOURCE), target]
    if event is Event.MOVE or (event is Event.TRANSFER_BEGUN and entry.destination):
        titles = _titles(entry.destination)
        target = _participant(entry.destination or "unknown", _DESTINATION, titles=titles)
        return [_caller(entry), _archive(source, _SOURCE), target]
    if event in (Event.RETRIEVE, Event.TRANSFER_BEGUN):
        return [_caller(entry, _DESTINATION), _archive(source, _SOURCE)]
    if event in (Event.STORE, Event.QUERY):
        return [_caller(entry, _SOURCE), _archive(source, _DESTINATION)]
    return [_caller(entry), _archive(source)] if _is_somebodys(entry) else [_archive(source)]


def _is_somebodys(entry: Entry) -> bool:
    return bool(entry.identity or entry.peer or entry.calling_ae_title)


def _caller(entry: Entry, role: Code | None = None) -> str:
    name = entry.identity or entry.calling_ae_title or entry.peer or "unknown"
    titles = _titles(entry.calling_ae_title)
    return _participant(name, role, titles=titles, is_requestor=True, address=entry.peer)


def _archive(source: AuditSource, role: Code | None = None) -> str:
    return _participant(source.process, role, titles=_titles(*source.ae_titles))


def _titles(*titles: str) -> str:
    """Return AE titles in the form of PS3.15 A.5.3 (AlternativeUserID)."""
    given = [title for title in titles if title]
    return f"AETITLES={';'.join(given)}" if given else ""


def _participant(
    name: str,
    role: Code | None,
    *,
    titles: str = "",
    is_requestor: bool = False,
    address: str = "",
    medium: str = "",
) -> str:
    attributes = {"UserID": name, "UserIsRequestor": "true" if is_requestor else "false"}
    if titles:
        attributes["AlternativeUserID"] = titles
    if address:
        attributes["NetworkAccessPointID"] = address
        attributes["NetworkAccessPointTypeCode"] = "2" if _is_address(address) else "1"
    roles = [] if role is None else [_coded("RoleIDCode", role)]
    return _element("ActiveParticipant", attributes, *roles, medium)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _source_identification(source: AuditSource) -> str:
    attributes = {"AuditSourceID": source.source_id}
    if source.site:
        attributes["AuditEnterpriseSiteID"] = source.site
    kind = _element("AuditSourceTypeCode", {"csd-code": "4"})  # an application server process
    return _element("AuditSourceIdentification", attributes, kind)


def _objects(record: Record) -> list[str]:
    entry = record.entry
    objects = [_study(one, entry) for one in entry.studies]
    if entry.event is Event.QUERY:
        objects.append(_query(entry))
    if MESSAGES[entry.event].event is _ALERT:
        objects.append(_alert(entry))
    return [*objects, _journal(record)]


def _study(uid: str, entry: Entry) -> str:
    children = [_coded("ParticipantObjectIDTypeCode", _STUDY), _name("Study")]
    if len(entry.studies) == 1 and entry.instances:
        counted = {"NumberOfInstances": str(entry.instances)}
        if entry.sop_class:
            counted["UID"] = entry.sop_class
        children.append(_element("ParticipantObjectDescription", {}, _element("SOPClass", counted)))
    return _object(uid, _REPORT, *children)


def _query(entry: Entry) -> str:
    """Return the SOP class and the keys as a data set of empty elements (PS3.15 A.5.3.10)."""
    return _object(
        entry.sop_class or "unknown",
        _REPORT,
        _coded("ParticipantObjectIDTypeCode", _SOP_CLASS),
        _element("ParticipantObjectQuery", {}, _base64(_empty_keys(entry.keys))),
        _detail("TransferSyntax", IMPLICIT_VR_LITTLE_ENDIAN),
    )


def _empty_keys(keys: tuple[str, ...]) -> bytes:
    """Return the top-level keys, in order, as elements of length 0 in Implicit VR Little Endian (PS3.5 section 7.1.3)."""
    tags = sorted({key[:8] for key in keys if key[:8].isalnum()})
    halves = ((int(tag[:4], 16), int(tag[4:], 16)) for tag in tags)
    return b"".join(
        group.to_bytes(2, "little") + element.to_bytes(2, "little") + bytes(4)
        for group, element in halves
    )


def _alert(entry: Entry) -> str:
    kinds = {Event.DEVICE_CHANGED: _NODE, Event.PERSON_CHANGED: _USER, Event.LOCKED: _USER}
    return _object(
        entry.subject or entry.operation or entry.peer or entry.event,
        _SECURITY_RESOURCE,
        _coded("ParticipantObjectIDTypeCode", kinds.get(entry.event, _URI)),
        _name(entry.event),
        _detail("Alert Description", entry.reason or entry.event),
    )


def _journal(record: Record) -> str:
    return _object(
        f"urn:doorward:journal:{record.sequence}",
        _SECURITY_RESOURCE,
        _coded("ParticipantObjectIDTypeCode", _URI),
        _name("Security Audit Log"),
        _detail("digest", record.digest),
    )


# --- XML --------------------------------------------------------------------------------------------------------------


def _object(identifier: str, role: str, *children: str) -> str:
    attributes = {
        "ParticipantObjectID": identifier,
        "ParticipantObjectTypeCode": _SYSTEM_OBJECT,
        "ParticipantObjectTypeCodeRole": role,
    }
    return _element("ParticipantObjectIdentification", attributes, *children)


def _name(name: str) -> str:
    return _element("ParticipantObjectName", {}, _escaped(name))


def _detail(kind: str, value: str) -> str:
    attributes = {"type": kind, "value": _base64(value.encode())}
    return _element("ParticipantObjectDetail", attributes)


def _coded(name: str, code: Code) -> str:
    attributes = {
        "csd-code": code.value,
        "codeSystemName": code.scheme,
        "originalText": code.meaning,
    }
    return _element(name, attributes)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _element(name: str, attributes: Mapping[str, str], *children: str) -> str:
    """Return one element; ``children`` are elements, or text that is escaped already."""
    written = "".join(f' {key}="{_escaped(value)}"' for key, value in attributes.items())
    inside = "".join(children)
    return f"<{name}{written}>{inside}</{name}>" if inside else f"<{name}{written}/>"


def _escaped(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text).translate(_TRANSLATION)
