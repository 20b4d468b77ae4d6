"""Reports: judged systems in, documents for people and scripts out.

untrusted   makes strangers' text harmless
model       doorward.report/1 as types, and its JSON Schema
sums        standings -> totals, by country, site, owner, product and rung, in one pass
assemble    judged systems -> Report: their order
figures     numbers as people read them
wording     one system -> the sentences that a person reads
overall     all systems -> the verdict in one sentence
terminal    text with rich
html        one self-contained page (template in doorward.pages)
outputs     formats, files, standard output

A survey of thousands is never held as a whole:

survey           its frame and a stream of documents -> the same JSON
listed           one document -> one line
survey_html      the same as a page
survey_terminal  the same as a screen of text
country_names    ISO 3166-1 codes in words
"""
