"""Open files: raised as far as this process may, and never promised beyond."""

import subprocess
import sys

import pytest

CODE = """
import resource, sys
from doorward.net.descriptors import room
soft, hard, wanted = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(room(wanted), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "found"),
    [
        (256, 256, 100, "100 256"),
        (256, 2_000, 1_000, "1000 1064"),
        (256, 512, 1_000, "448 512"),
        (40, 40, 1_000, "0 40"),
    ],
)
def test_there_is_room_for_what_the_hard_limit_allows(soft, hard, wanted, found):
    command = [sys.executable, "-c", CODE, str(soft), str(hard), str(wanted)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == found
