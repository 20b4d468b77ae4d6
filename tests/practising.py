"""Practice archives for the tests: started on free ports of loopback, surveyed with short waits, read with pydicom."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from io import BytesIO

from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from doorward.audit.facts import Attempt, SystemFacts
from doorward.audit.scope import Scope
from doorward.audit.survey import SurveySettings, survey
from doorward.audit.targets import Target
from doorward.dicom.values import Attributes, encode_identifier
from doorward.dicom.walk import Syntax
from doorward.limits import DEFAULT_LIMITS
from doorward.net.client import Requestor
from doorward.practice.certificates import PracticeCertificates
from doorward.practice.fleet import Running, fleet
from doorward.practice.settings import from_names
from doorward.wire.uids import STUDY_ROOT_FIND

#: Nobody is polite to a practice archive, and silence must not last.
SHORT = replace(
    DEFAULT_LIMITS,
    connect_s=1.0,
    associate_s=0.6,
    reply_s=0.6,
    cancel_s=0.6,
    tls_handshake_s=0.6,
    tls_linger_s=0.3,
    probe_gap_s=0.0,
    part_gap_s=0.0,
    congestion_pause_s=0.01,
    count_matches=3_000,
)


@asynccontextmanager
async def practising(
    *names: str, certificates: PracticeCertificates | None = None, **numbers: int
) -> AsyncIterator[tuple[Running, ...]]:
    """Run the personas, each on an address of its own and on a free port."""
    archives = [replace(archive, port=0) for archive in from_names(names, **numbers)]
    async with fleet(archives, certificates=certificates) as running:
        yield running


class Unheard:
    """An observer of a survey whom nobody listens to."""

    def system_started(self, target: Target) -> None: ...
    def probe_finished(self, attempt: Attempt) -> None: ...
    def system_finished(self, system: SystemFacts) -> None: ...


async def surveyed(
    running: Sequence[Running], settings: SurveySettings | None = None
) -> list[SystemFacts]:
    """Audit the archives as a stranger."""
    targets = [Target(host=one.address, ports=(one.port,)) for one in running]
    return await survey(
        targets,
        scope=Scope.loopback(),
        settings=settings or SurveySettings(limits=SHORT),
        observer=Unheard(),
    )


async def found(
    requestor: Requestor, keys: Attributes, model: str = STUDY_ROOT_FIND
) -> tuple[int | None, list[tuple[int, Dataset]]]:
    """Return the final status and every match of a query, decoded by pydicom."""
    matches: list[tuple[int, Dataset]] = []
    context = requestor.context_for(model)
    assert context is not None
    is_implicit = context.transfer_syntax == ImplicitVRLittleEndian
    syntax = Syntax.IMPLICIT_LITTLE if is_implicit else Syntax.EXPLICIT_LITTLE
    result = await requestor.find(
        model,
        encode_identifier(sorted(keys), syntax),
        lambda status, identifier: matches.append(
            (status, decoded(bytes(identifier), is_implicit=is_implicit))
        ),
    )
    return result.final_status, matches


def decoded(data_set: bytes, *, is_implicit: bool) -> Dataset:
    """Return a bare data set as pydicom reads it."""
    dataset = Dataset()
    dataset.update(dcmread(BytesIO(with_meta(data_set, is_implicit=is_implicit)), defer_size=None))
    return dataset


def with_meta(data_set: bytes, *, is_implicit: bool) -> bytes:
    """Return a data set behind the least meta information that pydicom reads."""
    uid = str(ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian)
    syntax = encode_identifier([(0x0002_0010, "UI", uid)], Syntax.EXPLICIT_LITTLE)
    return bytes(128) + b"DICM" + syntax + data_set
