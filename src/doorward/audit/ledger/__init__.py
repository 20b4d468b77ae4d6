"""What a survey has seen, on disk: one SQLite file, one writer, any number of readers beside it.

ledger     what everybody uses: begin, add, waiting, answered, finished, and all reading
records    the values that go in and come out
scans      one row for each survey: its plan and how it ended
systems    whom to visit, and every answer
verdicts   one judged system: a dozen columns to sum over, and its document
reading    facts, coverage and progress out of the tables
pruning    forgetting old scans, or their answers alone
schema     the tables, and the way from an older version to this one
store      one connection: its errors in words, its transactions
lock       one writer at a time
"""
