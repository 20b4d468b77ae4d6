"""What is said of a bug of ours: its kind and its place, never its text, which might quote a patient's value."""


def kind_and_place(fault: BaseException) -> str:
    """Return the name of the exception and the line of code that raised it."""
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
    return f"{type(fault).__name__} at {place}"
