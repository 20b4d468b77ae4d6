"""Promise 6: no second door with other rules. The table of roles and operations, asked of the policy and of both doors."""

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from both_doors import STUDY, House, Said, both_doors
from doorward.access.identity import (
    KINDS_OF_ROLE,
    How,
    Identity,
    Kind,
    Operation,
    Person,
    Role,
    Service,
    Subject,
)
from doorward.access.journal.record import Event, Outcome
from doorward.access.policy import decide
from doorward.access.rules import TEMPLATE, Effect, Rule, Rules, rules_of

AS_SHIPPED = rules_of(tomllib.loads(TEMPLATE), file=Path("doorward.toml"))
#: By hand, from the manual: what each role may do where nobody has changed the rules. Everything else is refused.
MAY: dict[Role, set[Operation]] = {
    Role.MODALITY: {Operation.ECHO, Operation.STORE, Operation.COMMIT},
    Role.WORKSTATION: {Operation.ECHO, Operation.QUERY, Operation.RETRIEVE, Operation.MOVE},
    Role.MIGRATION: {
        *(Operation.ECHO, Operation.STORE, Operation.COMMIT),
        *(Operation.QUERY, Operation.RETRIEVE, Operation.MOVE),
    },
    Role.READER: {Operation.QUERY, Operation.RETRIEVE},
    Role.ADMINISTRATOR: {Operation.ADMINISTER},
    Role.AUDITOR: {Operation.READ_JOURNAL},
}
#: Who has which role at the doors. WS1 is the destination of every C-MOVE.
WHO = {
    Role.MODALITY: "ct1",
    Role.WORKSTATION: "ws1",
    Role.MIGRATION: "mover",
    Role.READER: "rita",
    Role.ADMINISTRATOR: "ada",
    Role.AUDITOR: "otto",
}
IN_A_YEAR = datetime.now(UTC) + timedelta(days=365)
ON_DICOM = (
    *(Operation.ECHO, Operation.STORE, Operation.QUERY),
    *(Operation.RETRIEVE, Operation.MOVE, Operation.COMMIT),
)
ON_THE_WEB = (Operation.STORE, Operation.QUERY, Operation.RETRIEVE)
TABLE = [(role, operation) for role in Role for operation in Operation]
#: A migration moves to nobody but itself unless a rule says so.
NOT_THERE = "Move destination not permitted"


def identity(role: Role) -> Identity:
    kind = min(KINDS_OF_ROLE[role])
    return Identity(
        kind=Kind(kind),
        name=WHO[role],
        role=role,
        ae_titles=("WS1",),
        how=How.CERTIFICATE,
        expires_at=IN_A_YEAR,
    )


@pytest.mark.parametrize(("role", "operation"), TABLE)
def test_the_policy_says_what_the_table_says(role, operation):
    subject = Subject(destination="WS1")
    decision = decide(identity(role), operation, subject, AS_SHIPPED, datetime.now(UTC))
    assert decision.is_allowed == (operation in MAY[role]), decision
    assert len(decision.reason) <= 64, "an Error Comment (LO)"


@pytest.mark.parametrize("operation", (Operation.DELETE, Operation.EXPORT))
@pytest.mark.parametrize("role", Role)
def test_what_is_given_by_name_is_given_to_that_name_alone(role, operation):
    rule = Rule(
        name="named",
        effect=Effect.ALLOW,
        operations=frozenset({operation}),
        identities=frozenset({WHO[role]}),
    )
    rules = Rules(rules=(*AS_SHIPPED.rules, rule))
    for other in Role:
        decision = decide(identity(other), operation, Subject(), rules, datetime.now(UTC))
        may_read = operation is Operation.DELETE or Operation.RETRIEVE in MAY[other]
        assert decision.is_allowed == (other is role and may_read), (other, decision)


def folk() -> dict[str, object]:
    persons = [Person(name=WHO[r], role=r) for r in (Role.READER, Role.ADMINISTRATOR, Role.AUDITOR)]
    return {
        "devices": {"ct1": Role.MODALITY, "ws1": Role.WORKSTATION},
        "persons": persons,
        "services": (Service(name="mover", role=Role.MIGRATION, expires_at=IN_A_YEAR),),
        "by_token": ("mover", *(one.name for one in persons)),
    }


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    place = tmp_path_factory.mktemp("house")
    with both_doors(place, rules=AS_SHIPPED, **folk()) as found:
        yield found


@pytest.fixture(autouse=True)
def _as_shipped(request):
    if "house" in request.fixturenames:
        found: House = request.getfixturevalue("house")
        found.site.call(lambda: found.site.archive.use(rules=AS_SHIPPED))


def expected(role: Role, operation: Operation) -> Said:
    if operation in MAY[role]:
        moves = operation is Operation.MOVE and role is Role.MIGRATION
        return Said(False, NOT_THERE) if moves else Said(True)
    return Said(False, f"Role {role} may not {operation.replace('_', ' ')}")


@pytest.mark.parametrize(("role", "operation"), [(r, o) for r in Role for o in ON_DICOM])
def test_both_doors_say_the_same_and_the_journal_has_it(house, role, operation):
    who, said = WHO[role], expected(role, operation)
    before = len(house.records())
    assert house.by_dicom(who, operation) == said
    doors = 1
    if operation in ON_THE_WEB:
        assert house.by_web(who, operation) == said
        doors = 2
    told = [
        (one.entry.identity, one.entry.operation, one.entry.reason, one.entry.outcome)
        for one in house.records()[before:]
        if one.entry.event == Event.REFUSAL
    ]
    refusal = (who, operation, said.reason, Outcome.REFUSED)
    assert told == [] if said.is_allowed else [refusal] * doors


@pytest.mark.parametrize("operation", [one for one in Operation if one not in ON_DICOM])
def test_other_operations_have_no_words_on_either_door(house, operation):
    for who in WHO.values():
        assert house.by_dicom(who, operation) is None
        assert house.by_web(who, operation) is None


@pytest.mark.parametrize("method", ("DELETE", "PUT", "PATCH"))
def test_nobody_whoever_it_is_deletes_or_overwrites_by_the_web(house, method):
    for who in WHO.values():
        proof = house.proof(who)
        headers = {k: v for k, v in proof.items() if k != "who"}
        for path in ("/dicom-web/studies", f"/dicom-web/studies/{STUDY}", "/session", "/journal"):
            answer = house.site.request(method, path, who=proof["who"], headers=headers)
            assert answer.status in {404, 405}, (who, path)
    assert house.get("ws1", f"/dicom-web/studies/{STUDY}").status == 200


@pytest.mark.parametrize(
    "path",
    (
        *("", "/series", "/metadata", "/thumbnail"),
        *(f"/series/{STUDY[:-2]}.2{rest}" for rest in ("", "/metadata", "/thumbnail")),
        *(
            f"/series/{STUDY[:-2]}.2/instances/{STUDY[:-2]}{rest}"
            for rest in (
                "",
                "/metadata",
                "/rendered",
                "/thumbnail",
                "/frames/1",
                "/frames/1/rendered",
            )
        ),
        f"/series/{STUDY[:-2]}.2/instances/{STUDY[:-2]}/bulkdata/7FE00010",
    ),
)
@pytest.mark.parametrize("role", (Role.MODALITY, Role.ADMINISTRATOR, Role.AUDITOR))
def test_every_way_to_an_image_is_refused_for_the_same_reason(house, role, path):
    operation = Operation.QUERY if path == "/series" else Operation.RETRIEVE
    answer = house.get(WHO[role], f"/dicom-web/studies/{STUDY}{path}")
    assert answer.status == 403, answer
    assert answer.json() == {"error": expected(role, operation).reason}


DENY = (
    ("operations", {"operations": frozenset({Operation.RETRIEVE})}),
    ("identity", {"identities": frozenset({"ws1"})}),
    ("site", {"sites": frozenset({"north"})}),
    ("age", {"older_than_days": 1}),
)


@pytest.mark.parametrize(("name", "narrow"), DENY)
def test_a_rule_denies_on_both_doors_alike_from_the_next_question_on(house, name, narrow):
    stated = {"operations": frozenset({Operation.QUERY, Operation.RETRIEVE})} | narrow
    rule = Rule(name=f"no-{name}", effect=Effect.DENY, **stated)
    archive = house.site.archive
    for operation in (Operation.RETRIEVE, Operation.QUERY):
        before = house.by_dicom("ws1", operation), house.by_web("ws1", operation)
        assert before == (Said(True), Said(True))
    house.site.call(lambda: archive.use(rules=Rules(rules=(*AS_SHIPPED.rules, rule))))
    for who in ("ws1", "rita"):
        said = house.by_dicom(who, Operation.RETRIEVE)
        assert said == house.by_web(who, Operation.RETRIEVE), who
        assert said.is_allowed == (name == "identity" and who == "rita"), who
    found = house.get("ws1", "/dicom-web/studies")
    assert found.status in ({200} if name == "operations" else {204, 403})


def test_an_empty_list_of_rules_or_people_means_nobody(house):
    archive = house.site.archive
    house.site.call(lambda: archive.use(rules=Rules()))
    for role in Role:
        for operation in ON_DICOM:
            said = house.by_dicom(WHO[role], operation)
            assert not said.is_allowed
        for operation in ON_THE_WEB:
            assert not house.by_web(WHO[role], operation).is_allowed
