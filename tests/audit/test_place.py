"""Where a system stands: the first word stands, another source fills what is not known."""

from dataclasses import fields

from doorward.audit.place import NOWHERE, Place


def test_what_is_known_is_not_replaced_and_what_is_not_is_filled():
    inventory = Place(site="North", country="DE")
    table = Place(site="never", country="FR", network_operator="Example Net", owner="Clinic")
    assert inventory.filled_from(table) == Place(
        site="North", country="DE", network_operator="Example Net", owner="Clinic"
    )


def test_every_field_is_filled():
    full = Place(**{field.name: field.name for field in fields(Place)})
    assert NOWHERE.filled_from(full) == full
