"""The archive that was never open.

blobs      what was received, as files that are durable before anybody is told so
index      what is held, found in milliseconds
head       a data set on its way in: what stands before its pixels, where its frames lie
ingest     C-STORE: blob, index, journal, then success
part10_arrival  a file through any door, on its way to ingest
tidying    what a crash left, taken away at the next start
originals  how a file began, kept where that is not how ours begin
retrieval  what a C-GET or C-MOVE chooses, and how it is read
giving     policy, allowance and journal before anything leaves
answers    what was found, as the identifier of a C-FIND response
services   the DIMSE door
archive    all of it, opened and closed as one
doors      where it listens, as its settings say; ``running`` runs it, ``watching`` sees what was changed
figures    how it stands; ``metrics`` tells Prometheus, ``logs`` whoever reads the log
"""
