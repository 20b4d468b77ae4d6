"""Options are declared once, used by some command, and their help says the default that holds."""

import re
from pathlib import Path
from typing import get_args

import pytest

from doorward.cli import declared
from doorward.limits import DEFAULT_LIMITS

CLI = Path(declared.__file__).parent
NAMES = [name for name, value in vars(declared).items() if hasattr(value, "__metadata__")]


@pytest.mark.parametrize("name", NAMES)
def test_every_option_has_words_and_a_command(name):
    (_, info) = get_args(getattr(declared, name))
    assert info.help
    sources = (file.read_text() for file in CLI.glob("*.py") if file.name != "declared.py")
    assert any(re.search(rf"\bdeclared\.{name}\b", source) for source in sources)


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("Rate", DEFAULT_LIMITS.connection_rate),
        ("NetworkRate", DEFAULT_LIMITS.network_connection_rate),
        ("Systems", DEFAULT_LIMITS.hosts_at_a_time),
        ("NetworkSystems", DEFAULT_LIMITS.network_systems_at_a_time),
    ],
)
def test_a_help_says_the_default_that_holds(name, default):
    (_, info) = get_args(getattr(declared, name))
    assert f"({default})" in info.help
