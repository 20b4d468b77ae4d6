"""Real file servers on loopback for the tests: Samba and NFS-Ganesha as Debian ships them.

Both listen on 127.0.0.1 and a free port, and need root. rpcbind is not among them: Debian's 1.2.6 cannot be bound to one
address (it crashes), and version 3 of NFS does not start without it. Every name that a probe must not bring home carries
the canary.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from database_servers import CANARY, listening
from peers import HOST, accepts_connection, free_port, started


@contextmanager
def smbd(folder: Path, **settings: str) -> Iterator[int]:
    """Run Samba's smbd as root with these settings; underscores stand for spaces."""
    share = folder / "share"
    share.mkdir(exist_ok=True)
    chosen = {
        "interfaces": HOST,
        "bind interfaces only": "yes",
        "netbios name": "NB" + CANARY[:12],
        "workgroup": "WG" + CANARY[:12],
        "server string": CANARY,
        "disable spoolss": "yes",
        "load printers": "no",
        "pid directory": str(folder),
        "ncalrpc dir": str(folder / "ncalrpc"),
    }
    chosen |= {f"{name} directory": str(folder) for name in ("lock", "state", "cache")}
    chosen |= {"private dir": str(folder)}
    chosen |= {name.replace("_", " "): value for name, value in settings.items()}
    lines = ["[global]", *(f"{name} = {value}" for name, value in chosen.items())]
    lines += [f"[share{CANARY}]", f"path = {share}", "guest ok = yes"]
    configuration = folder / "smb.conf"
    configuration.write_text("\n".join(lines) + "\n")
    with listening(
        folder,
        *("smbd", "--foreground", "--no-process-group", "--port=PORT"),
        f"--configfile={configuration}",
        f"--log-basename={folder}",
    ) as port:
        yield port


@contextmanager
def ganesha(folder: Path, *versions: int) -> Iterator[int]:
    """Run NFS-Ganesha as root with these versions of NFS and one export in memory."""
    spoken = ", ".join(map(str, versions))
    configuration = folder / "ganesha.conf"
    text = f"""
NFS_CORE_PARAM {{ Bind_addr = {HOST}; NFS_Port = PORT; MNT_Port = 0; Protocols = {spoken};
    Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = false; }}
NFSv4 {{ Grace_Period = 0; RecoveryRoot = {folder}; Graceless = true; }}
EXPORT {{ Export_Id = 1; Path = /{CANARY}; Pseudo = /{CANARY}; Access_Type = RO;
    Protocols = {spoken}; FSAL {{ Name = MEM; }} }}
"""
    pid = folder / "ganesha.pid"

    def attempt() -> tuple[list[str], list[int]]:
        port = free_port()
        configuration.write_text(text.replace("PORT", str(port)))
        command = ["ganesha.nfsd", "-F", "-f", str(configuration), "-p", str(pid), "-L", "STDERR"]
        return command, [port]

    with started(attempt, folder, accepts_connection) as (_, ports):
        yield ports[0]
