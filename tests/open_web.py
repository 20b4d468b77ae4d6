"""An imaging archive on the web that answers strangers, made of bytes, with canaries wherever a patient could be.

``OpenArchive`` plays QIDO-RS, WADO-RS, STOW-RS and WADO-URI, or the own interfaces of Orthanc and dcm4chee, in the manners
that were measured or read; each deviation that servers are known for is one field.
"""

import json
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from web_servers import NOT_FOUND, Request, answer, as_json

CANARY = "CANARYDOE^CANARYJOHN"
DICOM_JSON = "application/dicom+json"


def study(number: int, images: int | None = 6) -> dict[str, object]:
    """One study as a server answers it, with what nobody asked for."""
    attributes: dict[str, object] = {
        "00080020": {"vr": "DA", "Value": ["18400506"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": CANARY}]},
        "00100020": {"vr": "LO", "Value": [f"CANARY{number}"]},
        "0020000D": {"vr": "UI", "Value": [f"2.25.{number + 1}"]},
    }
    if images is not None:
        attributes["00201208"] = {"vr": "IS", "Value": [images]}
    return attributes


@dataclass(slots=True, kw_only=True)
class OpenArchive:
    """One archive; ``root`` is where its DICOMweb lives."""

    studies: int = 0
    root: str = "/dicom-web"
    images: int | None = 6
    most_per_page: int = 1_000_000
    ignores_limit: bool = False
    ignores_offset: bool = False
    ignores_filter: bool = False
    empty_status: int = 200
    media_type: str = DICOM_JSON
    orthanc: bool = False
    dcm4chee: bool = False
    breaks_at: int | None = None  # the page (by offset) that ends early
    wado_status: int = 406
    stow_status: int = 415
    origin: str = "*"
    asked: list[str] = field(default_factory=list)

    def respond(self, request: Request) -> bytes:
        """Answer one request."""
        self.asked.append(f"{request.method} {request.target}")
        path, tail = request.path, request.path.removeprefix(f"{self.root}/studies")
        if self.orthanc and (own := self._orthanc(path)) is not None:
            return own
        if self.dcm4chee and (own := self._dcm4chee(path)) is not None:
            return own
        if path == "/wado":
            return answer(400)
        if not path.startswith(f"{self.root}/studies") or tail[:1] not in ("", "/"):
            return NOT_FOUND
        if request.method == "POST":
            return answer(self.stow_status) if not tail else NOT_FOUND
        if request.method == "OPTIONS":
            return answer(200, headers=[("Allow", "GET, POST, DELETE, CANARY")])
        if tail.endswith("/count") or not tail.strip("/"):
            return self._search(request)
        if "/instances/" in tail:
            return answer(self.wado_status, "", DICOM_JSON)
        return NOT_FOUND

    def _search(self, request: Request) -> bytes:
        keys = {
            name: values[0] for name, values in parse_qs(request.target.partition("?")[2]).items()
        }
        first = 0 if self.ignores_offset else int(keys.get("offset", 0))
        size = self.studies if self.ignores_limit else int(keys.get("limit", self.studies))
        is_none = "StudyInstanceUID" in keys and not self.ignores_filter
        last = first if is_none else min(self.studies, first + min(size, self.most_per_page))
        headers = (
            [("Access-Control-Allow-Origin", self.origin)] if "origin" in request.headers else []
        )
        if last == first and self.empty_status == 204:
            return answer(204, b"", "", headers=headers)
        body = json.dumps([study(number, self.images) for number in range(first, last)])
        if self.breaks_at is not None and first >= self.breaks_at:
            body = body[: len(body) // 2]
        return answer(200, body, self.media_type, headers=headers)

    def _orthanc(self, path: str) -> bytes | None:
        total = {
            "Patients": 3,
            "Studies": self.studies,
            "Instances": self.studies * (self.images or 0),
        }
        return {
            "/system": as_json(
                {
                    "ApiVersion": 16,
                    "DatabaseVersion": 6,
                    "Name": CANARY,
                    "DicomAet": "CANARY",
                    "IsHttpServerSecure": False,
                    "Version": "1.10.1",
                }
            ),
            "/studies": as_json([]),
            "/statistics": as_json({f"Count{name}": number for name, number in total.items()}),
        }.get(path)

    def _dcm4chee(self, path: str) -> bytes | None:
        aets = "/dcm4chee-arc/aets"
        return {
            aets: as_json([{"dicomAETitle": "DCM4CHEE", "dicomDescription": CANARY}]),
            f"{aets}/DCM4CHEE/rs/studies/count": as_json({"count": self.studies}),
            f"{aets}/DCM4CHEE/rs/instances/count": as_json({"count": self.studies * 6}),
            f"{aets}/DCM4CHEE/rs/patients/count": as_json({"count": 3}),
        }.get(path)
