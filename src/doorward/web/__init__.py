"""Floor 0: the little HTTP that needs no socket.

    body.py         cuts a body out of the bytes that follow a head; keeps nothing
    json_stream.py  reads JSON in a stream: counts, and builds nothing that it was not asked for
    multipart.py    the parts of a multipart body, and what a Content-Type says
    page.py         what an HTML page says about the software behind it
    murmur.py       hashes of favicons
    tls_hello.py    the first message of a TLS client, offering anything; tls_records.py reads the answer

Bytes come from strangers: each reader is bounded by ``limits.py``, and none copies what it does not need.
"""
