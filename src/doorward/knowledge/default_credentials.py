"""Documented default logins of imaging products: one for each, with the mark by which the product is recognised."""

import re
from dataclasses import dataclass
from functools import cache

from doorward.knowledge.loader import rows


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultLogin:
    """One row of default_credentials.toml."""

    product: str
    key: str  # of a remediation text
    user: str
    secret: str
    way: str  # basic | query
    path: str
    realm: str  # pattern for the whole realm, or ""
    server: str  # pattern for the whole Server header, or ""
    mark: str  # source | measured
    source: str

    def is_shown_by(self, *, realm: str, server: str) -> bool:
        """Tell whether an answer carries the product's own mark."""
        return _fits(self.realm, realm) or _fits(self.server, server)


def _fits(pattern: str, text: str) -> bool:
    return bool(pattern) and re.fullmatch(pattern, text[:200], re.IGNORECASE) is not None


@cache
def default_logins() -> tuple[DefaultLogin, ...]:
    """Return every documented default login, in file order."""
    return rows("doorward.knowledge", "default_credentials.toml", "login", DefaultLogin)
