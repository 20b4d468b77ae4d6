#!/bin/sh
# Installs the real peers of the tests (Debian, Ubuntu) where it may; never fails, the tests count what is missing.
set -eu
PATH=$PATH:/usr/sbin

missing=""
command -v echoscu >/dev/null && command -v dcmqrscp >/dev/null || missing="$missing dcmtk"
command -v Orthanc >/dev/null || missing="$missing orthanc"
command -v nmap >/dev/null || missing="$missing nmap"
command -v strace >/dev/null || missing="$missing strace"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "doorward: not installed, their tests are skipped:$missing (as root: apt-get install$missing)" >&2
    exit 0
fi

# Debian's orthanc package starts an archive on all addresses that takes images from strangers. Where an init system would
# do that, the owner of the machine decides; in containers nothing is started.
case $missing in
*orthanc*)
    if [ -d /run/systemd/system ] && [ -z "${CI:-}" ]; then
        missing=$(echo "$missing" | sed 's/ orthanc//')
        echo "doorward: orthanc is left out: its package would start a server open to your network; to have its tests run:" \
            "apt-get install orthanc && systemctl disable --now orthanc" >&2
    fi
    ;;
esac
[ -n "$missing" ] || exit 0

echo "doorward: installing the peers of the tests:$missing" >&2
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
# shellcheck disable=SC2086 # a list of package names
if ! { apt-get update && apt-get install -y --no-install-recommends $missing; } </dev/null >"$log" 2>&1; then
    echo "doorward: apt-get could not install all of$missing; its last words:" >&2
    tail -n 3 "$log" >&2
fi
rm -f "$log"
