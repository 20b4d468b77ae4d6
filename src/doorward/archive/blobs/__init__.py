"""Part-10 files by the SHA-256 of their content: acknowledged means durable (promise 7).

names      from content to name to path; what a commit gives back
disk       the few things that are asked of a file system, and who may stand in for one
faults     what a file system refuses, in words
shelf      the store as threads see it: placing, looking, taking away, one folder at a time
part       one file on its way in
group      what comes at the same time becomes durable together
block      memory in which fragments gather
store      the store as everybody uses it: writer, open, close
reader     ranges of one blob, and all of it in chunks
verify     everything read again and hashed again
sweep      what nobody needs
snapshot   a copy while the archive runs

Theory of operation: bytes come in by fragments and are written by a few threads, never by the event loop. A commit is:
the part is written and synced, renamed to its name, its folder is synced; only then does ``commit`` return. So a name that
can be seen always has its whole content under it, and a name that was given out is found after a power cut.
What has come meanwhile is synced together by one thread (``group``): all contents, then all names, each folder once. On
ext4 that is one commit for the contents and one for the names, however many they are.
A blob is never changed in place: readers, hard links and backups need no lock.
"""
