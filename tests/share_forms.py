"""Samba in several forms, each with what an audit must find: the rows of a table.

``fails`` are the checks that must fail besides ``share_port_reachable``, which every running server fails.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """Samba with these settings, its newest dialect, and the checks that fail besides the first."""

    settings: dict[str, str] = field(default_factory=dict)
    dialect: str = "3.1.1"
    fails: frozenset[str] = frozenset()


V1, UNSIGNED = "smb_v1_spoken", "smb_signing_not_required"
FORMS = {
    "as it comes": Form(fails=frozenset({UNSIGNED})),
    "version 1 too": Form(settings={"server_min_protocol": "NT1"}, fails=frozenset({UNSIGNED, V1})),
    "version 1 only": Form(
        settings={"server_min_protocol": "NT1", "server_max_protocol": "NT1"},
        dialect="1",
        fails=frozenset({UNSIGNED, V1}),
    ),
    "no version above 2.1": Form(
        settings={"server_max_protocol": "SMB2_10"}, dialect="2.1", fails=frozenset({UNSIGNED})
    ),
    "signing required": Form(settings={"server_signing": "mandatory"}),
}
