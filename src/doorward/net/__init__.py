"""Floor 1, the only one with sockets.

dial           the one function that connects outwards, after it asked its gate
connection     the joint between asyncio and wire.Association
client         associate, echo, find: what an auditor needs; operations: those in progress
transfer       store, get, move: what an auditor must never import
server         listeners, caps, graceful end
session        one connection to a server; application: what it offers; suboperations: C-GET and C-MOVE
tls            contexts for both sides; certificate: what one says; certificate_chain: what several amount to
hello          one raw ClientHello, and the first flight of the server
"""
