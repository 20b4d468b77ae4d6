"""Fake archives on loopback, to try, test and train on. Floor 3.

personas      what kinds of archives there are, each with a sentence and the rungs that an audit must find
holding       patients, studies and images that exist only as numbers
matches       identifiers streamed from a holding, made from one template per query
manners       how an answer is handed over: cut, broken off, slowly, not at all
instances     a few images as bytes, for C-GET and for loading real archives
archive       one persona as an application of net.server
strangers     what listens on a DICOM port and is no DICOM: HTTP, SSH, silence
certificates  keys and certificates for the personas with TLS, made on the spot
settings      a TOML file or names -> archives to start
fleet         many archives in one process

They are built on our own server, so they prove plumbing only; truth comes from the real peers of the tests.
"""
