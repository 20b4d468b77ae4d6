import subprocess
import sys

import pytest

from doorward.net.certificate_facts import ChainFacts


def test_facts_of_certificates_load_no_library_that_reads_certificates():
    asked = "import sys, doorward.audit.approach; print('cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_chain_is_taken_for_orderly_until_something_is_seen():
    chain = ChainFacts(certificates=())
    assert (chain.unreadable, chain.is_ordered, chain.is_sortable) == (0, True, True)
    with pytest.raises(AttributeError):
        chain.unreadable = 1
