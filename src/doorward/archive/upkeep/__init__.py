"""The archive's upkeep: looked over, saved, brought back, made anew, filled and emptied. For whoever has the machine.

beside     the index of an archive, read beside its writer
verify     every blob, every row of the index, the chain of the journal
blob_entry what the index needs of an instance, read from its blob
scratch    what the making of an index has to remember
reindex    the index made anew from blobs and journal
copying    small files and journals, copied so that they are durable
backup     a copy while the archive runs; what is there already is not copied again
restore    a backup as an archive in an empty folder
hands      who works on an archive from its own machine
done       which files an import need not read again
importing  files and folders into the archive, many at once
exporting  studies as files, in the journal before the first byte

Theory of operation: verify, backup and the reading of the journal work beside a running archive: blobs are never changed in
place, SQLite shows each reader one commit, the journal only grows. Whatever writes (reindex, restore, import, export) takes
the archive's own locks, so it needs the archive stopped, and says so.
"""
