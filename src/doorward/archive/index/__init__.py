"""What is held, found in milliseconds: patients, studies, series and instances in one SQLite file.

levels   which attribute belongs to which level, and by which of them is looked up
entry    one instance on its way in; what comes back of it
rows     views of data sets as bytes, and back
schema   the tables, and the way from each version to the next
store    how a connection is opened; SQLite's errors in words
filing   one entry into the tables: idempotent, never replacing
writer   the one thread that writes; many callers share a commit
plan     a query as SQL
search   a query page by page, without a transaction that stays open
holdings what is held, by UID: for retrieval, policy and upkeep
index    all of it for an event loop
upkeep   made anew, checked, copied

Theory of operation. An entry is durable before ``Index.write`` returns (WAL, ``synchronous = FULL``); entries of callers
that come together share one commit. Each level keeps one compact view, so a query never opens an image file, and the texts
of ``dicom.query.comparables`` for the keys that are asked often. What SQL cannot decide, ``dicom.query.matches`` does: it
stays the reference, and what is found here is what it would find.

Whose study. A Study Instance UID that comes with another patient is kept as another study of that other patient: both are
seen, each by its own patient, and both are reported (``Written.is_inconsistent``, ``inconsistencies``). One that took in the
other would show somebody's images under a stranger's name, and a refusal would lose images. A study without a Patient ID has
a patient of its own, as two unknown people are not one. The attributes of a study are those of the instance that came first;
those of a patient are those of the first study that the asker may see, so that a restriction hides names too.
"""
