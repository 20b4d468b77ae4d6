"""What the DICOMweb service can do, for machines: WADL by OPTIONS / (PS3.18 section 8.9, Annex H), OpenAPI at /openapi.json.

Both are made from one table. The description names no study and no person; who may call it at all, the door has decided.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from doorward.archive.archive import Archive
from doorward.archive.web.answering import INSTANCE, SERIES, STUDY, base_of
from doorward.web.accept import DICOM, DICOM_JSON, OCTETS

WADL = "application/vnd.sun.wadl+xml"
_FILES = f'multipart/related; type="{DICOM}"'
_OCTET_PARTS = f'multipart/related; type="{OCTETS}"'
_SEARCH = (
    *("limit", "offset", "fuzzymatching", "includefield"),
    *("emptyvaluematching", "multiplevaluematching"),
)
_PATTERNS = {
    **dict.fromkeys(("study", "series", "instance"), r"^[0-9.]{1,64}$"),
    "frames": r"^[1-9][0-9]{0,4}(,[1-9][0-9]{0,4})*$",
    "path": r"^[0-9A-Fa-f]{8}(/[0-9]{1,6}/[0-9A-Fa-f]{8})*$",
}
_NUMBER = {"type": "integer", "minimum": 0, "maximum": 999_999_999}
_SCHEMAS: dict[str, dict[str, Any]] = {
    "limit": _NUMBER,
    "offset": _NUMBER,
    "includefield": {"type": "string", "pattern": "^(all|[0-9A-F]{8})$"},
}
_REFUSALS = {
    "400": "A parameter, a header or the path is malformed",
    "401": "Nobody is known by this",
    "403": "The policy says no",
    "404": "There is nothing here",
    "406": "Not held in a form that is accepted",
    "413": "More than is given at once",
    "429": "The allowance of the hour is used up",
    "500": "A fault of the archive",
    "503": "The storage has failed or is full; Retry-After where it may work later",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One method of one resource. ``media_types``: of what comes back."""

    name: str
    path: str
    media_types: Sequence[str]
    method: str = "GET"
    is_search: bool = False
    #: What is sent; () nothing.
    takes: Sequence[str] = ()


def _searches() -> tuple[Transaction, ...]:
    paths = {
        "SearchForStudies": "/studies",
        "SearchForSeries": "/series",
        "SearchForStudySeries": f"{STUDY}/series",
        "SearchForInstances": "/instances",
        "SearchForStudyInstances": f"{STUDY}/instances",
        "SearchForStudySeriesInstances": f"{SERIES}/instances",
    }
    return tuple(
        Transaction(name=name, path=path, media_types=(DICOM_JSON,), is_search=True)
        for name, path in paths.items()
    )


def _retrievals() -> tuple[Transaction, ...]:
    found = []
    for name, path in (("Study", STUDY), ("Series", SERIES), ("Instance", INSTANCE)):
        single = (DICOM,) if name == "Instance" else ()
        found += [
            Transaction(name=f"Retrieve{name}", path=path, media_types=(_FILES, *single)),
            Transaction(
                name=f"Retrieve{name}Metadata", path=f"{path}/metadata", media_types=(DICOM_JSON,)
            ),
        ]
    pixels = (_OCTET_PARTS, OCTETS)
    return (
        *found,
        Transaction(
            name="RetrieveFrames", path=f"{INSTANCE}/frames/{{frames}}", media_types=pixels
        ),
        Transaction(
            name="RetrieveBulkdata", path=f"{INSTANCE}/bulkdata/{{path}}", media_types=pixels
        ),
    )


def _stores() -> tuple[Transaction, ...]:
    named = (("StoreInstances", "/studies"), ("StoreStudyInstances", STUDY))
    return tuple(
        Transaction(
            name=name, path=path, method="POST", media_types=(DICOM_JSON,), takes=(_FILES, DICOM)
        )
        for name, path in named
    )


def _renderings() -> tuple[Transaction, ...]:
    levels = (
        *(("Study", STUDY), ("Series", SERIES), ("Instance", INSTANCE)),
        ("Frames", f"{INSTANCE}/frames/{{frames}}"),
    )
    images = ("image/jpeg", "image/png")
    thumbnails = [
        Transaction(name=f"Retrieve{n}Thumbnail", path=f"{p}/thumbnail", media_types=images)
        for n, p in levels
    ]
    rendered = [
        Transaction(name=f"RetrieveRendered{n}", path=f"{p}/rendered", media_types=images)
        for n, p in levels[2:]
    ]
    return (*rendered, *thumbnails)


TRANSACTIONS = (*_searches(), *_retrievals(), *_stores(), *_renderings())


def routes(archive: Archive) -> list[Route]:  # noqa: ARG001 - the form of all modules with routes
    """Return the routes of descriptions, to be mounted at the service's root."""

    async def wadl(request: Request) -> Response:
        return Response(write_wadl(base_of(request)), media_type=WADL)

    async def openapi(request: Request) -> Response:
        return JSONResponse(write_openapi(base_of(request)))

    return [
        Route("/", wadl, methods=["OPTIONS", "GET"]),
        Route("/openapi.json", openapi, methods=["GET"]),
    ]


# --- WADL ---------------------------------------------------------------------------------------------------------------


def write_wadl(base: str) -> str:
    """Return the Capabilities Description (PS3.18 Annex H)."""
    resources: dict[str, list[Transaction]] = {}
    for one in TRANSACTIONS:
        resources.setdefault(one.path.lstrip("/"), []).append(one)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    lines.append('<application xmlns="http://wadl.dev.java.net/2009/02">')
    lines.append(f"  <resources base={_quoted(base + '/')}>")
    for path, methods in resources.items():
        lines.append(f"    <resource path={_quoted(path)}>")
        lines += [
            f'      <param name={_quoted(name)} style="template" required="true"/>'
            for name in _names_in(path)
        ]
        for one in methods:
            lines += _wadl_method(one)
        lines.append("    </resource>")
    lines += ["  </resources>", "</application>", ""]
    return "\n".join(lines)


def _wadl_method(one: Transaction) -> list[str]:
    lines = [f"      <method name={_quoted(one.method)} id={_quoted(one.name)}>"]
    lines.append("        <request>")
    if one.takes:
        lines += [f"          <representation mediaType={_quoted(t)}/>" for t in one.takes]
    else:
        lines.append(
            f'          <param name="Accept" style="header" default={_quoted(one.media_types[0])}>'
        )
        lines += [f"            <option value={_quoted(t)}/>" for t in one.media_types]
        lines.append("          </param>")
    if one.is_search:
        lines += [f'          <param name="{escape(name)}" style="query"/>' for name in _SEARCH]
    lines.append("        </request>")
    lines.append('        <response status="200">')
    lines += [f"          <representation mediaType={_quoted(t)}/>" for t in one.media_types]
    lines += ["        </response>", "      </method>"]
    return lines


def _quoted(text: str) -> str:
    return f'"{escape(text)}"'


def _names_in(path: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", path)


# --- OpenAPI ------------------------------------------------------------------------------------------------------------


def write_openapi(base: str) -> dict[str, Any]:
    """Return a description in OpenAPI 3.0."""
    paths: dict[str, dict[str, Any]] = {}
    for one in TRANSACTIONS:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.0.3",
        "info": {"title": "Doorward DICOMweb", "version": "1"},
        "servers": [{"url": base}],
        "paths": paths,
        "components": {
            "schemas": {"Refusal": _refusal_schema(), "DataSets": _data_sets_schema()},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"bearer": []}],
    }


def _operation(one: Transaction) -> dict[str, Any]:
    parameters = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": _PATTERNS[name]},
        }
        for name in _names_in(one.path)
    ]
    if one.is_search:
        boolean = {"type": "string", "enum": ["true", "false"]}
        parameters += [
            {"name": name, "in": "query", "schema": _SCHEMAS.get(name, boolean)} for name in _SEARCH
        ]
    operation: dict[str, Any] = {"operationId": one.name, "parameters": parameters}
    if one.takes:
        operation["requestBody"] = {"content": {_bare(t): {} for t in one.takes}}
    operation["responses"] = _responses(one)
    return operation


def _responses(one: Transaction) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/DataSets"} if one.method == "GET" else {}
    content = {_bare(t): {"schema": schema} if t == DICOM_JSON else {} for t in one.media_types}
    found: dict[str, Any] = {"200": {"description": "What was asked for", "content": content}}
    if one.is_search:
        found["204"] = {"description": "Nothing matches"}
    refusals = dict(_REFUSALS)
    if one.takes:
        found |= dict.fromkeys(("202", "409"), found["200"])
        refusals["415"] = "This is no DICOM"
    refused: dict[str, Any] = {
        "application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}
    }
    if one.takes:
        # What has become of each instance is said where nothing was stored, too (PS3.18 section 10.5.3).
        refused |= content
    for status, words in refusals.items():
        found[status] = {"description": words, "content": refused}
    return found


def _bare(media_type: str) -> str:
    return media_type.partition(";")[0]


def _refusal_schema() -> dict[str, Any]:
    reason = {"type": "string"}
    return {"type": "object", "required": ["error"], "properties": {"error": reason}}


def _data_sets_schema() -> dict[str, Any]:
    """Return the schema of DICOM JSON (PS3.18 section F.2)."""
    attribute = {
        "type": "object",
        "required": ["vr"],
        "properties": {
            "vr": {"type": "string", "pattern": "^[A-Z]{2}$"},
            "Value": {"type": "array"},
            "BulkDataURI": {"type": "string"},
            "InlineBinary": {"type": "string"},
        },
        "additionalProperties": False,
    }
    data_set = {"type": "object", "additionalProperties": attribute}
    return {"type": "array", "items": data_set}
