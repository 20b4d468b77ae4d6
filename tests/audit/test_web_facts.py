"""Facts of the web are values that can be written as JSON and hold no text of a peer."""

import dataclasses
import json

from doorward.audit.web_facts import (
    Access,
    ConsoleFacts,
    DebuggerFacts,
    DicomWebFacts,
    DicomWebRoot,
    RestFacts,
    ViewerFacts,
    WebFacts,
    WebHygieneFacts,
    WebProduct,
)

VIEWER = ViewerFacts(product="OHIF Viewer", path="/", access=Access.OPEN)
SERVER = WebProduct(
    product="nginx", key="", kind="server", version="1.18.0", certainty="likely", shown_by="header"
)


def web(**more):
    return WebFacts(speaks_http=True, over_tls=False, front=Access.OPEN, **more)


def test_every_fact_can_be_written_as_json():
    rest = RestFacts(product="Orthanc", key="orthanc", access=Access.OPEN)
    root = DicomWebRoot(root="/dicom-web", qido=Access.OPEN, methods=("GET",))
    console = ConsoleFacts(console="WildFly console", path="/console/", access=Access.LOGIN)
    for facts in (
        web(products=(SERVER,), viewers=(VIEWER,), rest=(rest,)),
        DicomWebFacts(roots=(root,)),
        WebHygieneFacts(over_tls=True, consoles=(console,)),
        DebuggerFacts(is_jdwp=True),
    ):
        assert json.loads(json.dumps(dataclasses.asdict(facts)))


def test_a_web_server_alone_is_no_imaging():
    assert not web(products=(SERVER,)).has_imaging
    assert web(products=(dataclasses.replace(SERVER, kind="archive"),)).has_imaging
    assert web(viewers=(VIEWER,)).has_imaging
