"""Templates and style sheets of every page that Doorward writes or serves; no Python besides this file. Floor 4.

report.html.j2, report.css: the audit report (audit/report/html.py).
survey.html.j2: the report of a survey (audit/report/survey_html.py).
parts.html.j2: what both pages share.
"""
