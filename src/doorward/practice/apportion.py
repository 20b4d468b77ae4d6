"""A whole number divided by weights, exactly: parts are whole, within their bounds, and add up to the last one.

Theory of operation: shares follow the weights; a part that would leave its bounds is set to the bound and the rest is
divided again, until all fit; what rounding leaves over goes to the largest fractions (the method of largest remainders).
No chance and no clock: the same arguments give the same parts.
"""

from collections.abc import Sequence

#: Archives are set up to end answers at round numbers: up to here an auditor doubts multiples of 50 and powers of two.
_DOUBTED_UP_TO = 10_000


def apportion(
    total: int, weights: Sequence[float], least: Sequence[int], most: Sequence[int] | None = None
) -> list[int]:
    """Return parts with ``least <= part <= most`` that add up to ``total``; weights are positive.

    Raises ValueError where the bounds leave no room.
    """
    upper = [total] * len(weights) if most is None else list(most)
    narrow = any(low > high for low, high in zip(least, upper, strict=True))
    if narrow or not sum(least) <= total <= sum(upper):
        raise ValueError(f"{total} cannot be divided between {sum(least)} and {sum(upper)}")
    parts = [0] * len(weights)
    free = list(range(len(weights)))
    rest = total
    while True:
        shares = _shares(rest, free, weights)
        bound = _out_of_bounds(shares, least, upper)
        if not bound:
            return _rounded(parts, shares, rest, upper)
        for index, value in bound.items():
            parts[index] = value
            rest -= value
        free = [index for index in free if index not in bound]


def _shares(rest: int, free: Sequence[int], weights: Sequence[float]) -> dict[int, float]:
    whole = sum(weights[index] for index in free)
    return {index: rest * (weights[index] / whole) for index in free}


def _out_of_bounds(
    shares: dict[int, float], least: Sequence[int], most: Sequence[int]
) -> dict[int, int]:
    """Return the parts to set now: those below or those above, whichever weigh more, or none."""
    below = {index: least[index] for index, share in shares.items() if share < least[index]}
    above = {index: most[index] for index, share in shares.items() if share > most[index]}
    lacking = sum(value - shares[index] for index, value in below.items())
    spare = sum(shares[index] - value for index, value in above.items())
    # Setting the smaller group first could leave no room for the larger one.
    return below if lacking >= spare and below else above


def _rounded(
    parts: list[int], shares: dict[int, float], rest: int, most: Sequence[int]
) -> list[int]:
    for index, share in shares.items():
        parts[index] = int(share)
    left = rest - sum(parts[index] for index in shares)
    # Sorted is stable: of equal fractions the first is rounded up.
    order = sorted(shares, key=lambda index: parts[index] - shares[index])
    while left:
        for index in order:
            if left and parts[index] < most[index]:
                parts[index] += 1
                left -= 1
    return parts


def is_doubted(matches: int) -> bool:
    """Tell whether so many matches look like a limit of the archive rather than all it has."""
    is_power_of_two = matches >= 256 and matches & (matches - 1) == 0
    return 0 < matches <= _DOUBTED_UP_TO and (matches % 50 == 0 or is_power_of_two)


def undoubted(parts: Sequence[int], least: Sequence[int], most: Sequence[int]) -> list[int]:
    """Return the parts with one moved here and there, so that none is a doubted number and the sum stays."""
    moved = list(parts)
    for index, part in enumerate(moved):
        if not is_doubted(part):
            continue
        for other in range(len(moved)):
            for step in (1, -1):
                is_within = least[index] <= part + step <= most[index]
                fits = least[other] <= moved[other] - step <= most[other]
                if other != index and is_within and fits and not is_doubted(moved[other] - step):
                    moved[index] = part + step
                    moved[other] -= step
                    break
            if moved[index] != part:
                break
    return moved
