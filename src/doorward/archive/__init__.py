"""The archive that was never open.

blobs   what was received, as files that are durable before anybody is told so
"""
