"""What is known about the software that answered; a version is a claim, so nothing here is certain.

Theory of operation: the stack that an association names, and the products that show themselves on the web, are compared with
the advisories in use (``knowledge/advisories.py``, which decides between likely and possible). A product whose version was
not seen is not tested: what is published about it is named, and nothing is said to apply.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from doorward.audit.checks.registry import Per, check
from doorward.audit.checks.ruling import Ruling, failed, not_applicable, not_tested, number, passed
from doorward.audit.checks.web import no_web
from doorward.audit.door import Door, doors
from doorward.audit.verdict import Severity
from doorward.audit.web_facts import WebFacts, WebProduct
from doorward.knowledge.advisories import (
    Match,
    about_product,
    advisories_for,
    advisories_for_product,
    state_of_knowledge,
)

_SHOWN = 4
_CLAIM = "A version name is a claim; a repaired package may keep it."


@check("product_version_vulnerable")
def version_vulnerable(door: Door, _now: datetime) -> Ruling:
    """Compare the stack that an association names with the published advisories (rung V)."""
    found = door.identification
    if door.demands_certificate and not found.is_known:
        return not_applicable("The software does not name itself to a stranger.")
    matches = _of_association(door)
    if matches:
        return _match(found.described, matches)
    if about_product(found.product):
        # The version in an association is that of the stack, never that of the product.
        return not_tested(_unversioned(found.product, "in an association"))
    if not found.version:
        named = found.described or "The software"
        return not_tested(f"{named} did not name a version, so no advisory can be looked up.")
    return passed(_none_known(found.described))


def _of_association(door: Door) -> tuple[Match, ...]:
    """Return the matches of the stack and of every version of its product, without what the web side contradicts."""
    found = door.identification
    matches = (
        *advisories_for(found),
        *advisories_for_product(found.product, "", is_exact=False),
    )
    exact = _exact_versions(door, "Orthanc")
    return tuple(
        m for m in matches if not (m.condition and exact) or any(map(m.advisory.covers, exact))
    )


def _exact_versions(door: Door, product: str) -> frozenset[str]:
    """Return the exact versions of a product that any port of this system told."""
    return frozenset(
        one.version
        for other in doors(door.system)
        for facts in other.answered(WebFacts)
        for one in facts.products
        if one.product == product and one.version and _is_exact(one)
    )


@check("product_web_version_vulnerable", per=Per.ASKED)
def web_version_vulnerable(door: Door, _now: datetime) -> Ruling:
    """Compare the imaging products that show themselves on the web with the published advisories (rung V)."""
    seen = door.answered(WebFacts)
    if not seen:
        return no_web(door, "web")
    products = _imaging(seen)
    if not products:
        return not_applicable("No imaging product that we know shows itself on this port.")
    matched = [(p, _of_product(p)) for p in products]
    hit = [(p, matches) for p, matches in matched if matches]
    if hit:
        names = ", ".join(_named(p) for p, _ in hit)
        return _match(names, tuple(m for _, matches in hit for m in matches))
    silent = [p.product for p in products if not p.version]
    if silent:
        return not_tested(" ".join(_unversioned(name, "here") for name in silent))
    return passed(_none_known(", ".join(_named(p) for p in products)))


def _imaging(seen: Iterable[WebFacts]) -> tuple[WebProduct, ...]:
    """Return each product once, with its version where any answer showed one, exact ones first."""
    found: dict[str, WebProduct] = {}
    every = [p for facts in seen for p in facts.products if p.kind != "server"]
    for product in sorted(every, key=lambda p: (not (p.version and _is_exact(p)), not p.version)):
        found.setdefault(product.product, product)
    return tuple(found.values())


def _of_product(product: WebProduct) -> tuple[Match, ...]:
    is_exact = _is_exact(product)
    return advisories_for_product(product.product, product.version, is_exact=is_exact)


def _is_exact(product: WebProduct) -> bool:
    """Tell whether the version is the build string of the product's own interface, not a header's or a title's."""
    return product.shown_by == "system" and product.certainty == "likely"


def _named(product: WebProduct) -> str:
    return f"{product.product} {product.version}".strip()


# --- words ------------------------------------------------------------------------------------------------------------


def _match(named: str, matches: Sequence[Match]) -> Ruling:
    is_likely = any(m.certainty == "likely" for m in matches)
    return failed(
        f"{named} {'likely' if is_likely else 'possibly'} has "
        f"{number(len(matches), 'published weakness', 'published weaknesses')}: {_list(matches)}. "
        f"{_CLAIM}",
        Severity.MEDIUM if is_likely else Severity.LOW,
    )


def _none_known(named: str) -> str:
    return (
        f"{named}: no advisory is known to us (list of {state_of_knowledge()}). "
        "None known is not the same as safe."
    )


def _unversioned(product: str, where: str) -> str:
    known = about_product(product)
    if not known:
        return f"{product} does not show its version {where}, so no advisory can be looked up."
    advisories = number(len(known), "advisory", "advisories")
    return (
        f"{product} does not show its version {where}. Compare it, on the machine itself, with the "
        f"{advisories} published about this product, from {known[0].id} ({known[0].affected}) on."
    )


def _list(matches: Sequence[Match]) -> str:
    # Likely and attacked ones first: they are what a reader should look up.
    ordered = sorted(
        matches, key=lambda m: (m.certainty != "likely", not m.is_exploited, bool(m.condition))
    )
    shown = [
        f"{m.advisory.id} ({m.certainty}{', known to be exploited' if m.is_exploited else ''}"
        f"{', ' + m.condition if m.condition else ''}: {m.advisory.summary})"
        for m in ordered[:_SHOWN]
    ]
    more = len(matches) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")


# --- honeypots --------------------------------------------------------------------------------------------------------


@check("product_looks_like_honeypot")
def looks_like_honeypot(door: Door, _now: datetime) -> Ruling:
    """Compare the answer with the marks of known honeypots."""
    found = door.identification
    if found.honeypot:
        return failed(f"The answer carries the mark of a honeypot: {found.described}.")
    if door.demands_certificate and not found.is_known:
        return not_applicable("The software does not name itself to a stranger.")
    if not found.is_known:
        return not_tested("The software did not name itself.")
    return passed(f"The answer names {found.described}.")
