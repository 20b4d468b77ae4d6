#!/bin/sh
# Installs the real peers of the tests (Debian, Ubuntu) where it may; never fails, the tests count what is missing.
set -eu
PATH=$PATH:/usr/sbin

missing=""
command -v echoscu >/dev/null && command -v dcmqrscp >/dev/null || missing="$missing dcmtk"
command -v Orthanc >/dev/null || missing="$missing orthanc"
[ -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so ] || missing="$missing orthanc-dicomweb"
command -v nmap >/dev/null || missing="$missing nmap"
command -v openssl >/dev/null || missing="$missing openssl"
command -v gnutls-serv >/dev/null || missing="$missing gnutls-bin"
command -v selfserv >/dev/null || missing="$missing libnss3-tools"
command -v nginx >/dev/null || missing="$missing nginx-light"
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
command -v mariadbd >/dev/null && command -v my_print_defaults >/dev/null || missing="$missing mariadb-server-core mariadb-client-core"
command -v redis-server >/dev/null || missing="$missing redis-server"
command -v slapd >/dev/null || missing="$missing slapd"
command -v smbd >/dev/null || missing="$missing samba"
command -v ganesha.nfsd >/dev/null || missing="$missing nfs-ganesha nfs-ganesha-mem"
command -v lighttpd >/dev/null || missing="$missing lighttpd"
command -v apache2 >/dev/null || missing="$missing apache2-bin"
[ -e /usr/lib/lighttpd/mod_openssl.so ] || missing="$missing lighttpd-mod-openssl"
command -v vsftpd >/dev/null || missing="$missing vsftpd"
command -v strace >/dev/null || missing="$missing strace"
command -v nats-server >/dev/null || missing="$missing nats-server"
ls /usr/lib/*/rsyslog/lmnsd_gtls.so >/dev/null 2>&1 && command -v rsyslogd >/dev/null || missing="$missing rsyslog rsyslog-gnutls"
command -v ip >/dev/null || missing="$missing iproute2"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "doorward: not installed, their tests are skipped:$missing (as root: apt-get install$missing)" >&2
    exit 0
fi

# These packages start a server, some on all addresses; Debian's orthanc takes images from strangers. Where an init system
# would do that, the owner of the machine decides; in containers nothing is started.
if [ -d /run/systemd/system ] && [ -z "${CI:-}" ]; then
    left="" wanted=$missing missing=""
    for package in $wanted; do
        case $package in
        orthanc* | nginx-light | postgresql | redis-server | slapd | samba | nfs-ganesha* | lighttpd* | vsftpd | nats-server | rsyslog) left="$left $package" ;;
        *) missing="$missing $package" ;;
        esac
    done
    [ -z "$left" ] || echo "doorward: left out, because their packages would start servers on this machine:$left; to have their" \
        "tests run: apt-get install$left, then systemctl disable --now each of them" >&2
fi
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
