"""The command line: one file per command, arguments and printing only. Floor 4.

    main      assembly, and the one place where errors become a line and an exit code
    audit     doorward audit TARGET...
    progress  what is said on standard error while an audit runs
    checks    doorward checks
    explain   doorward explain CHECK
    scope     doorward scope init|show
    practice  doorward practice

Modules import what they need inside the command, so that ``doorward --version`` stays fast.
"""
