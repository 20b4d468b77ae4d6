"""How many connections this process may hold: each is an open file, and many systems start a program with 1,024 of them."""

import resource

#: Files that are none of a peer's: the ledger and its log, reports, the event loop, name servers.
OUR_OWN = 64


def room(connections: int) -> int:
    """Return for how many connections side by side there is room, at most so many.

    The soft limit of open files is raised where that is needed and the hard one allows it (getrlimit(2)).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + OUR_OWN
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return connections
    return max(0, min(connections, soft - OUR_OWN))
