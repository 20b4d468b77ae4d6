"""``doorward``, which writes its own peak of resident memory (KiB) into a file when it ends.

    python -m measures.observed FILE survey ...

What the parent could read when it has ended (``ru_maxrss``) begins with the parent's own memory.
"""

import atexit
import sys
from pathlib import Path

from doorward.cli.main import main
from measures.processes import peak_kib

if __name__ == "__main__":
    note = Path(sys.argv.pop(1))
    atexit.register(lambda: note.write_text(str(peak_kib())))
    main()
