"""What an A-ASSOCIATE-RJ says, in the Standard's words (PS3.8 Table 9-21)."""

#: (source, reason) -> words (PS3.8 Table 9-21).
_REJECTIONS = {
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognized",
    (1, 7): "called AE title not recognized",
    (2, 1): "no reason given by the service provider (often a refused user identity)",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}


def describe_rejection(result: int, source: int, reason: int) -> str:
    """Return the triplet of A-ASSOCIATE-RJ in the Standard's words (PS3.8 Table 9-21)."""
    words = _REJECTIONS.get((source, reason), "a reason that the Standard does not define")
    lasting = {1: "permanently", 2: "for now"}.get(result, "in an undefined way")
    return f"{words}, {lasting} ({result}/{source}/{reason})"
