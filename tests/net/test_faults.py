"""A bug is told by its kind and its place, and nothing that it quotes is told."""

from doorward.net.faults import kind_and_place


def test_the_innermost_line_is_told_and_the_text_is_not():
    def deep():
        raise ValueError("CANARY^PATIENT")

    try:
        deep()
    except ValueError as fault:
        said = kind_and_place(fault)
    line = deep.__code__.co_firstlineno + 1
    assert said == f"ValueError at {__file__}:{line}"


def test_a_fault_that_was_never_raised_has_no_place():
    assert kind_and_place(KeyError("CANARY^PATIENT")) == "KeyError at ?"
