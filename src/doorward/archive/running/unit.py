"""A systemd unit for an archive: started when the network is there, watched, with as few rights as it needs."""

from pathlib import Path

from doorward.errors import ConfigError

_UNIT = """\
# /etc/systemd/system/doorward-archive.service
# Then: systemctl daemon-reload && systemctl enable --now doorward-archive
[Unit]
Description=Doorward archive of medical images
Wants=network-online.target
After=network-online.target
RequiresMountsFor="{folder}"
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
Type=notify
NotifyAccess=main
ExecStart="{program}" -m doorward archive run "{folder}"
User={user}
WatchdogSec=60
TimeoutStopSec=90
Restart=on-failure
# 2: a setting or file is wrong, and starting again changes nothing
RestartPreventExitStatus=2
RestartSec=5
LimitNOFILE=65536
UMask=0077

# Its own folder is all that it may write
ProtectSystem=strict
{home}
ReadWritePaths="{folder}"
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
ProtectProc=invisible
ProcSubset=pid
# No rights of root, and none to be had. For a port below 1024 write CAP_NET_BIND_SERVICE twice below.
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
RemoveIPC=yes
# The network and local sockets, ordinary calls of the system
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""


def unit_file(folder: Path, *, user: str, program: Path) -> str:
    """Return the unit of an archive; ``program`` is the Python that has doorward. Raises ConfigError."""
    for text, what in ((str(folder), "DIR"), (str(program), "the program"), (user, "--user")):
        if not text.isprintable() or any(sign in text for sign in '"\\$%'):
            hint = "Use a path and user without quotes, backslashes, '$' and '%'."
            raise ConfigError("cannot stand in a unit file", field=what, hint=hint)
    is_at_home = any(folder.is_relative_to(home) for home in ("/home", "/root", "/run/user"))
    home = "# The archive lies in a home: ProtectHome=yes once it lies elsewhere."
    return _UNIT.format(
        folder=folder, user=user, program=program, home=home if is_at_home else "ProtectHome=yes"
    )
