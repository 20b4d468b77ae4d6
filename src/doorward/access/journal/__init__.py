"""Every access leaves a trace: an append-only, hash-chained journal (promise 8). No patient data, by construction.

record      what one record says; its canonical bytes and its digest
segments    the files: segments, the anchor, and what a crash may leave at their end
journal     the one writer: chains, writes, and answers only when the record is on disk
verify      walks the chain and names the first broken record
reading     which records concern a study, an identity, a time; JSON lines and CSV
index       who looked at this study: SQLite beside the segments, made anew from them at any time
"""
