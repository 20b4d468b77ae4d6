"""The archive that was never open.

blobs      what was received, as files that are durable before anybody is told so
index      what is held, found in milliseconds
head       a data set on its way in: what stands before its pixels, where its frames lie
ingest     C-STORE: blob, index, journal, then success
part10_arrival  a file through any door, on its way to ingest
originals  how a file began, kept where that is not how ours begin
retrieval  what a C-GET or C-MOVE chooses, and how it is read
giving     policy, allowance and journal before anything leaves
answers    what was found, as the identifier of a C-FIND response
services   the DIMSE door
callers    who calls on the DIMSE door, asked anew at each operation
noting     refusals that come in floods, as few records
in_force   register, rules and destinations, as they are now
asking     a query of either door; ``viewing`` the looks of a viewer at one study
commitment what was promised to be kept (storage commitment)
pixels     decoding, transcoding and rendering, in processes apart
web        the HTTPS door
upkeep     verify, reindex, backup, restore, import, export
archive    all of it, opened and closed as one
running    its folder and settings, and the process that serves it
"""
