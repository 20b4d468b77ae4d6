"""Floor 0: what is known about ports, stacks and advisories, as data files with one loader.

    ports.toml                 imaging ports, protocol and source        ports.py
    implementations.toml       0x55 and 0x52 values -> stack, product    implementations.py
    web_signatures.toml        titles, headers, icons -> product         web_signatures.py
    advisories.toml            affected versions, by stack and product   advisories.py
    end_of_life.toml           last days of branches of web servers      end_of_life.py
    default_credentials.toml   documented first logins                   default_credentials.py
    tls_parameters.toml        suites, groups, signature schemes         tls_parameters.py
    tls_profiles.toml          PS3.15 B.12, B.13, RFC 9325, Mozilla      tls_profiles.py
    sources.toml               where each table comes from, its date     sources.py
    loader.py                  the one reader of these files
    updates.py                 newer files of others, taken offline: csaf.py, kev.py, epss.py, json_document.py

A row carries how far it may be trusted: ``confidence`` (source, file, claim) says where an identity was seen; ``mark``
says whether a statement was read in its source (S) or is general knowledge (M). Nothing here connects or guesses.
"""

#: The day up to which the tables were looked through; reports print it.
KNOWLEDGE_DATE = "2026-10-31"
