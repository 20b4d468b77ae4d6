"""Advisories in CSAF 2.0 (OASIS, November 2022) to rows like those of advisories.toml.

Theory of operation: the product tree is walked once; a product counts where its name stands in [[csaf_name]] and its version
is a range that can be compared without guessing. Each id of a vulnerability that affects such a product becomes a row. What
is not understood is left out and said, never half taken; what breaks the form of CSAF is a ConfigError with its JSON path.
An imported row says "possible", or as much as its name in [[csaf_name]] allows.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

from doorward.knowledge.advisories import Advisory, parse_version, shipped
from doorward.knowledge.json_document import Node
from doorward.knowledge.loader import rows
from doorward.limits import Limits

CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}")
_TRACKING_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}")
#: CSAF 2.0 section 4: the profiles that make statements on products.
_CATEGORIES = ("csaf_security_advisory", "csaf_vex")
#: CSAF 2.0 section 3.2.3.9: which lists of product_status mean "affected".
_AFFECTED = ("first_affected", "known_affected", "last_affected")
_VERSIONS = ("product_version", "product_version_range")
_EVERY = re.compile(r"vers:all/\*|\*|all(?: versions)?", re.IGNORECASE)
_SCHEME = re.compile(r"vers:[a-z][a-z0-9.-]{0,30}/", re.IGNORECASE)
_PART = re.compile(r"(<=|>=|<|=)?\s*[vV]?([0-9][0-9a-z.]{0,40})")


@dataclass(frozen=True, slots=True, kw_only=True)
class CsafName:
    """One row of [[csaf_name]]: what an advisory calls a product that can be recognised."""

    name: str
    certainty: str  # likely | possible
    mark: str  # S | M
    toolkit: str = ""
    products: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CsafAdvisory:
    """One advisory, with the rows that can be used and what was left out."""

    id: str
    title: str
    publisher: str
    released: str  # ISO 8601
    vulnerabilities: int
    rows: tuple[Advisory, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Product:
    """One leaf of the product tree."""

    vendor: str
    name: str
    version: str
    is_range: bool
    path: str


@cache
def csaf_names() -> tuple[CsafName, ...]:
    """Return every known name, in file order."""
    return rows("doorward.knowledge", "advisories.toml", "csaf_name", CsafName)


def read_csaf(root: Node, limits: Limits) -> CsafAdvisory:
    """Return one advisory; ConfigError names the JSON path of what breaks the form."""
    document = root.member("document")
    _check_form(document)
    tracking = document.member("tracking")
    identifier = tracking.member("id")
    if not _TRACKING_ID.fullmatch(identifier.text()):
        raise identifier.fault("must be the number of an advisory, without spaces")
    title = one_line(document.member("title").text(), limits.knowledge_text_chars)
    tree = _products(root, limits)
    left_out: list[str] = []
    found: list[Advisory] = []
    count = 0
    for vulnerability in root.items("vulnerabilities"):
        count += 1
        found += [
            _completed(row, identifier.text(), title)
            for row in _rows(vulnerability, tree, left_out, limits)
        ]
    if not count:
        raise root.fault("holds no vulnerability")
    return CsafAdvisory(
        id=identifier.text(),
        title=title,
        publisher=one_line(
            document.member("publisher").member("name").text(), limits.knowledge_text_chars
        ),
        released=tracking.member("current_release_date").day(),
        vulnerabilities=count,
        rows=tuple(dict.fromkeys(found)),
        left_out=tuple(dict.fromkeys(left_out)),
    )


def one_line(text: str, characters: int) -> str:
    """Return a text of somebody else as one harmless line, cut where it is long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= characters else f"{line[: characters - 3]}..."


def _check_form(document: Node) -> None:
    category = document.member("category")
    if category.text() not in _CATEGORIES:
        raise category.fault(f"must be {' or '.join(_CATEGORIES)}")
    version = document.member("csaf_version")
    if version.text() != "2.0":
        raise version.fault("must be 2.0: no other edition is read")
    status = document.member("tracking").member("status")
    if status.text() not in ("final", "interim"):
        raise status.fault("must be final or interim: a draft is not taken")


# --- products ---------------------------------------------------------------------------------------------------------


def _products(root: Node, limits: Limits) -> Mapping[str, _Product | None]:
    """Return what each product id stands for; None where it stands outside the branches."""
    tree = root.member("product_tree")
    found: dict[str, _Product | None] = {}
    for one in tree.items("full_product_names"):
        found[one.member("product_id").text()] = None
    for one in tree.items("relationships"):
        found[one.member("full_product_name").member("product_id").text()] = None
    for branch in tree.items("branches"):
        for identifier, product in _leaves(branch, {}, limits.json_depth):
            if identifier in found:
                raise branch.fault("names a product id twice")
            found[identifier] = product
    return found


def _leaves(
    branch: Node, above: Mapping[str, str], depth: int
) -> Iterator[tuple[str, _Product | None]]:
    if not depth:
        raise branch.fault("is nested too deeply")
    category = branch.member("category").text()
    names = {**above, category: branch.member("name").text()}
    if not branch.has("branches") and not branch.has("product"):
        raise branch.fault("has neither branches nor a product")
    for child in branch.items("branches"):
        yield from _leaves(child, names, depth - 1)
    if branch.has("product"):
        identifier = branch.member("product").member("product_id").text()
        version = next((names[kind] for kind in _VERSIONS if kind in names), "")
        yield (
            identifier,
            _Product(
                vendor=names.get("vendor", ""),
                name=names.get("product_name", ""),
                version=version,
                is_range="product_version_range" in names,
                path=branch.path,
            ),
        )


def _known_name(product: _Product) -> CsafName | None:
    said = {product.name.casefold(), f"{product.vendor} {product.name}".casefold()}
    return next((row for row in csaf_names() if row.name.casefold() in said), None)


# --- versions ---------------------------------------------------------------------------------------------------------


def parse_range(text: str, *, is_range: bool) -> Mapping[str, str | bool] | None:
    """Return the bounds of a version or range as fields of ``Advisory``; None where comparing would be a guess.

    "< 3.6.7", "<=7.2.8.810", ">=1.0.0|<3.0.4", "vers:generic/<3.6.7", "*": what CISA and makers write.
    """
    bare = text.strip()
    if _EVERY.fullmatch(bare):
        return {"every_version": True}
    bounds: dict[str, str | bool] = {}
    for part in re.split(r"[|,&]", _SCHEME.sub("", bare, count=1)):
        hit = _PART.fullmatch(part.strip())
        if hit is None or not parse_version(hit[2]):
            return None
        field = {"<": "before", "<=": "through", ">=": "from_"}.get(hit[1] or "=", "=")
        if field in bounds:
            return None
        bounds[field] = hit[2]
    if (exact := bounds.pop("=", None)) is not None:
        return None if bounds else {"from_": exact, "through": exact}
    if not is_range or ("before" in bounds and "through" in bounds):
        return None
    return bounds if len(bounds) > ("from_" in bounds) else {**bounds, "every_version": True}


# --- vulnerabilities --------------------------------------------------------------------------------------------------


def _rows(
    vulnerability: Node,
    tree: Mapping[str, _Product | None],
    left_out: list[str],
    limits: Limits,
) -> Iterator[Advisory]:
    if not vulnerability.has("cve"):
        left_out.append(f"{vulnerability.path} has no CVE id")
        return
    cve = vulnerability.member("cve")
    if not CVE.fullmatch(cve.text()):
        raise cve.fault("must be a CVE id")
    for listed in _affected(vulnerability):
        identifier = listed.text()
        if identifier not in tree:
            raise listed.fault("names a product that the product tree lacks")
        product = tree[identifier]
        name = None if product is None else _known_name(product)
        if product is None or name is None:
            left_out.append(_unknown(product, identifier, limits))
            continue
        bounds = parse_range(product.version, is_range=product.is_range)
        if bounds is None:
            left_out.append(f"the version at {product.path} cannot be compared")
            continue
        yield _row(cve.text(), vulnerability, identifier, product, name, bounds, limits)


def _affected(vulnerability: Node) -> Iterator[Node]:
    if vulnerability.has("product_status"):
        status = vulnerability.member("product_status")
        for kind in _AFFECTED:
            yield from status.items(kind)


def _unknown(product: _Product | None, identifier: str, limits: Limits) -> str:
    said = identifier if product is None else f"{product.vendor} {product.name}".strip()
    said = one_line(said or identifier, limits.knowledge_text_chars)
    return f"{said} is no product that can be recognised from outside"


def _row(
    cve: str,
    vulnerability: Node,
    identifier: str,
    product: _Product,
    name: CsafName,
    bounds: Mapping[str, str | bool],
    limits: Limits,
) -> Advisory:
    score = _score(vulnerability, identifier)
    before = bounds.get("before", "")
    return Advisory(
        id=cve,
        toolkit=name.toolkit,
        products=name.products,
        recognised_by=_recognised_by(name),
        component=one_line(product.name, limits.knowledge_text_chars),
        certainty=name.certainty,
        mark="S",
        summary=_summary(vulnerability, limits),
        source="",
        from_=str(bounds.get("from_", "")),
        through=str(bounds.get("through", "")),
        before=str(before),
        every_version=bool(bounds.get("every_version", False)),
        fixed=str(before),
        cvss=score or 0.0,
        cvss_mark="-" if score is None else "S",
    )


def _completed(row: Advisory, identifier: str, title: str) -> Advisory:
    is_icsma = identifier.upper().startswith("ICSMA-")
    return replace(
        row,
        source=identifier,
        icsma=identifier.upper() if is_icsma else "",
        summary=row.summary or title,
    )


def _score(vulnerability: Node, identifier: str) -> float | None:
    """Return the highest CVSS 3 or 4 base score that is given for a product, or None."""
    found = []
    for score in vulnerability.items("scores"):
        if identifier not in [one.text() for one in score.items("products")]:
            continue
        given = [score.member(kind) for kind in ("cvss_v3", "cvss_v4") if score.has(kind)]
        found += [one.member("baseScore").number(most=10) for one in given]
    return max(found, default=None)


def _summary(vulnerability: Node, limits: Limits) -> str:
    """Return the title of a vulnerability, or the name of its CWE; "" where it has neither."""
    if vulnerability.has("title"):
        return one_line(vulnerability.member("title").text(), limits.knowledge_text_chars)
    if vulnerability.has("cwe"):
        name = vulnerability.member("cwe").member("name").text()
        return one_line(name, limits.knowledge_text_chars)
    return ""


def _recognised_by(name: CsafName) -> tuple[str, ...]:
    """Return how the shipped rows about the same software are recognised."""
    ways = [
        way
        for row in shipped()
        if (name.toolkit and row.toolkit == name.toolkit) or set(row.products) & set(name.products)
        for way in row.recognised_by
    ]
    return tuple(dict.fromkeys(ways))
