"""Where a system stands and whom to tell: from the operator's inventory, or for public addresses from an offline table."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What is known about a system without asking it. Empty: not known."""

    site: str = ""
    owner: str = ""
    contact: str = ""
    country: str = ""  # ISO 3166-1 alpha-2, upper case
    network_operator: str = ""  # of the autonomous system, from an offline table

    def filled_from(self, other: "Place") -> "Place":
        """Return this place with what it does not know taken from another."""
        return replace(
            self,
            site=self.site or other.site,
            owner=self.owner or other.owner,
            contact=self.contact or other.contact,
            country=self.country or other.country,
            network_operator=self.network_operator or other.network_operator,
        )


NOWHERE = Place()
