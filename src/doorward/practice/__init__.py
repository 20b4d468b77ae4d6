"""Fake archives on loopback, to try, test and train on. Floor 3.

personas      what kinds of archives there are, each with a sentence and the rungs that an audit must find
holding       patients, studies and images that exist only as numbers
matches       identifiers streamed from a holding, made from one template per query
manners       how an answer is handed over: cut, broken off, slowly, not at all
instances     a few images as bytes, for C-GET and for loading real archives
archive       one persona as an application of net.server
strangers     what listens on a port and is no DICOM: SSH, silence
web, ftp      small servers: a viewer without a login, a list of image files, an old front page
street        all archives of a fleet as one application
study_fleet   systems of a study -> archives to start
log           what happened to the fleet, as JSON lines
evidence      what such a log proves about whoever surveyed it
certificates  keys and certificates for the personas with TLS, made on the spot
settings      a TOML file or names -> archives to start
fleet         many archives in one process
study_2019    the study of 2019 as 2,300 systems; sixty_days is its repeat
study_system  one system of it, the sums a survey must find, the list it is given
study_numbers what was published, what is drawn; apportion divides a sum exactly

They are built on our own server, so they prove plumbing only; truth comes from the real peers of the tests.
"""
