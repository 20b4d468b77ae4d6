"""The checks: facts in, rulings out. Pure; one file of rules and one of texts per area.

registry.py      the decorator that binds a rule to its texts; the catalogue
ruling.py        what a rule returns; what silence becomes
association.py   query.py   retrieve.py   store.py   transport.py   reachability.py   product.py
*.toml           title, description, risk, remediation per product, references
catalogue.py     the catalogue as a page
"""

from doorward.audit.checks import (  # noqa: F401 - each import fills the registry
    association,
    product,
    query,
    reachability,
    retrieve,
    store,
    transport,
)
from doorward.audit.checks.catalogue import catalogue_markdown
from doorward.audit.checks.registry import CATALOGUE, Per, rule_of

__all__ = ["CATALOGUE", "Per", "catalogue_markdown", "rule_of"]
