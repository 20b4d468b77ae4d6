"""The questions, one file each; every one returns facts and judges nothing.

association   is it DICOM, and which AE titles are let in (control pairs)
transport     does the port speak TLS, which, and with whose certificate
capabilities  what may a stranger negotiate
exposure      does it answer queries, and how much lies behind (counting, never collecting)
record_header does a port that speaks TLS understand anything else (a part of transport)
parts         the same in parts by date, where the archive does not tell everything at once
attributes    which patient attributes come back (clearance level 3; lengths only)
"""
