"""The checks: facts in, rulings out. Pure; one file of rules and one of texts per area.

registry.py      the decorator that binds a rule to its texts; the catalogue
ruling.py        what a rule returns; what silence becomes
association.py   query.py   retrieve.py   store.py   transport.py   reachability.py   product.py
database.py   share.py   what stands beside an archive; vantage.py   from where it was reached
tls_depth.py     everything that a port would accept in TLS, and the profiles
web.py           DICOMweb, interfaces, viewers; web_hygiene.py   what stands around them on a web port
files.py   hl7.py   fhir.py   credentials.py   system.py   folders, messages, logins, and the system as a whole
*.toml           title, description, risk, remediation per product, references
catalogue.py     the catalogue as a page
"""

from doorward.audit.checks import (  # noqa: F401 - each import fills the registry
    association,
    credentials,
    database,
    fhir,
    files,
    hl7,
    product,
    query,
    reachability,
    retrieve,
    share,
    store,
    system,
    tls_depth,
    transport,
    web,
    web_hygiene,
)
from doorward.audit.checks.catalogue import catalogue_markdown
from doorward.audit.checks.registry import CATALOGUE, Per, rule_of

__all__ = ["CATALOGUE", "Per", "catalogue_markdown", "rule_of"]
