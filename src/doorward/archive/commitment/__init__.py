"""Storage commitment: a device asks whether we keep its images, and may delete its own when we say so (PS3.4 Annex J).

Theory of operation. A request (N-ACTION) is asked of the policy, recorded, written to disk (``transactions``), and answered.
What it asks about is looked at when the report is made, not before, and again at each further try:

* the index holds the instance, under the SOP class that was named;
* the caller may ask for commitment of that study, and either sent the instance itself or may store into that study: what it
  may not know of is "no such object instance", the same as what is not there;
* the blob is there, as long as the index says, **and is read and hashed again**. The device deletes its only other copy on
  our word, so a second for a gigabyte is well spent; a further try of the same report looks at name and length only.

The report (N-EVENT-REPORT) goes out on an association of the same device that has been quiet for ``commitment_quiet_s``;
where there is none, on a new one to the destination that the settings have for an AE title of that device, and to no other;
where there is none either, it waits for the device to call again. What fails is tried again, later each time, until
``commitment_age_s``. A report whose answer is lost is sent again: the device gets it twice rather than never.
Not done: Storage Media File-Sets (J.3.2.1.1), and deleting anything because of a commitment.

messages      what a request says and a report holds
transactions  requests that are not reported yet, on disk
inspection    what has become of the instances of a request
commitments   takes requests, chooses when and where to report
"""
