"""Floor 0: what is known about ports, stacks and advisories, as data files with one loader.

    ports.toml             imaging ports, protocol and source        ports.py
    implementations.toml   0x55 and 0x52 values -> stack, product     implementations.py
    advisories.toml        affected versions, by stack                advisories.py
    loader.py              the one reader of these files

A row carries how far it may be trusted: ``confidence`` (source, file, claim) says where an identity was seen; ``mark``
says whether a statement was read in its source (S) or is general knowledge (M). Nothing here connects or guesses.
"""

#: The day up to which the tables were looked through; reports print it.
KNOWLEDGE_DATE = "2026-10-31"
