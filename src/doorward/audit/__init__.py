"""The auditor: asks an imaging system what it shows to strangers. Floor 3.

scope      who permitted which addresses; the gate in front of every connection
targets    what the operator typed -> hosts and ports
probes/    one question each -> facts            (may connect, never judges)
facts      what was seen, without patient data
tls_*      facts of TLS in depth, the interview that finds them, profiles they are held against
survey     the order, pace and end of all questions
checks/    facts -> findings                     (judges, never connects)
verdict    findings, severities, judged systems
ladder     how far a stranger gets: E0 to E7
grade      A+ to F, or not rated
judge      facts of one system -> judged system
exit_code  what the process tells its caller
report/    documents for people and scripts
"""
