"""What ``make bench`` measures, one module per question; ``tools/bench.py`` runs them and prints the table.

``figures`` rows of the table and their targets. ``processes`` children on loopback: started, waited for, ended, weighed.
``pdus`` bytes prepared before the clock starts. ``answers``, ``fleet``, ``sinks`` what is measured against, each a process
of its own. ``counting`` (a), ``hosts`` (b), ``receiving`` (c), ``memory`` (d), ``startup``, ``blobs`` (g) the questions.
Everything stays on loopback and holds synthetic bytes only.
"""
