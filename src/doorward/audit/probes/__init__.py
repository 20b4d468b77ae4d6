"""The questions, one file each; every one returns facts and judges nothing.

association   is it DICOM, and which AE titles are let in (control pairs)
transport     does the port speak TLS, which, and with whose certificate
capabilities  what may a stranger negotiate
exposure      does it answer queries, and how much lies behind (counting, never collecting)
parts         the same in parts by date, where the archive does not tell everything at once
attributes    which patient attributes come back (clearance level 3; lengths only)
"""
