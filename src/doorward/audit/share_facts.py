"""What file shares say before anybody logs in, as a value without judgement; no name of a share or host is in it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareFacts:
    """One port where file shares were expected. None: not shown."""

    protocol: str  # smb | nfs | portmapper
    is_open: bool = True  # False: the connection was refused
    is_recognised: bool = False
    #: SMB: the dialect that was settled on ("3.1.1"), and whether version 1 is spoken too.
    smb_dialect: str = ""
    smb_first_version: bool | None = None
    smb_signing_required: bool | None = None
    smb_encrypts: bool | None = None
    nfs_versions: tuple[int, ...] = ()
    #: Portmapper: it tells strangers where NFS or mountd listens.
    portmapper_tells: bool | None = None
