"""Running an archive: its folder and settings, who is let in, where it listens, and how it is watched.

folder       what lies where: settings, secrets, and who is known
settings     every setting with its default; ``settings_file`` reads and draws the TOML
first_start  an archive of its own keys, and a code for its first administrator
devices      letting devices in and shutting them out; ``persons`` people, services and their tokens
changes      what of that the journal does not know yet
starting     what is looked at before anybody is served
run          the archive from its start to its end; ``unit`` is that for systemd
doors        every listener, as the settings say
watching     what was changed meanwhile holds within a second
tidying      what a crash left, taken away at the next start
collector    audit messages to a collector outside
figures      how it stands; ``timings`` how long things took, ``metrics`` both for Prometheus
logs         one line for what was refused or failed; ``log_lines`` is their form
"""
