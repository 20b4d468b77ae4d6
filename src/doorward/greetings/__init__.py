"""How databases, directories and file shares greet a stranger: bytes in, bytes out, no socket.

conversation.py   the shape of a conversation, and what one finds out
postgresql.py  mysql.py  tds.py  tns.py  mongodb.py  redis.py  elasticsearch.py  ldap.py    databases beside an archive
smb.py  nfs.py                                                                              file shares

Each goes no further than the handshake: no password of anybody is tried, no query is sent, and of an answer only codes,
version numbers and names of methods are kept. Names of databases, users, hosts and shares are never read.
"""
