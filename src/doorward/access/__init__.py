"""Who may do what: identities, one policy, credentials, the journal. Decides, and never dials. Floor 2.

identity    who somebody is and how that was shown; the register of everybody who is known
policy      identity, operation, study -> Decision; which studies a query may show
rules       the rules that narrow what a role may do, and their TOML
volume      how much one identity may take in an hour
lockout     how long somebody waits who could not log in
journal/    every access leaves a trace: hash-chained, durable, verifiable
audit_message  records of the journal as DICOM audit messages (PS3.15 A.5)
spool       messages that wait on disk for an outside collector
"""
