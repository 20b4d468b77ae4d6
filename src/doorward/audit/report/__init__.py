"""Reports: judged systems in, documents for people and scripts out.

untrusted   makes strangers' text harmless
model       doorward.report/1 as types, and its JSON Schema
assemble    judged systems -> Report: order and sums
wording     Report -> the sentences that a person reads
terminal    text with rich
html        one self-contained page (template in doorward.pages)
outputs     formats, files, standard output
"""
