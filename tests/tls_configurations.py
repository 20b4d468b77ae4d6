"""Eighteen TLS servers that differ in what an auditor must tell apart; each by name, with how to start it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import tls_servers
from certificates import Certificates
from peers import Tls, orthanc, storescp

Start = Callable[[Path, Certificates], AbstractContextManager[int]]

_ALL = "ALL:@SECLEVEL=0"


def _openssl(*options: str, kinds: tuple[str, ...] = ("server_rsa",)) -> Start:
    def start(folder: Path, made: Certificates) -> AbstractContextManager[int]:
        shown = [getattr(made, kind) for kind in kinds]
        return tls_servers.openssl(folder, *options, credentials=shown)

    return start


@contextmanager
def _small_dh(folder: Path, made: Certificates) -> Iterator[int]:
    parameters = tls_servers.dh_parameters(folder, 1024)
    options = ("-tls1_2", "-cipher", "kDHE:@SECLEVEL=0", "-dhparam", str(parameters))
    with tls_servers.openssl(folder, *options, credentials=[made.server_rsa]) as port:
        yield port


@contextmanager
def _orthanc(folder: Path, made: Certificates) -> Iterator[int]:
    tls = Tls(own=made.server_rsa, trusted=made.authority, client_certificate="verify")
    with orthanc(folder, tls=tls) as peer:
        yield peer.port


@contextmanager
def _storescp(folder: Path, made: Certificates) -> Iterator[int]:
    with storescp(folder, tls=Tls(own=made.server_rsa, trusted=made.authority)) as peer:
        yield peer.port


_NGINX_INTERMEDIATE = (
    "ssl_protocols TLSv1.2 TLSv1.3; ssl_prefer_server_ciphers off; ssl_ecdh_curve X25519:prime256v1:secp384r1;"
    "ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305;"
)
_NGINX_OLD = "ssl_protocols TLSv1 TLSv1.1 TLSv1.2; ssl_prefer_server_ciphers on; ssl_ciphers HIGH:@SECLEVEL=0;"
_GNUTLS_OLD = (
    "NORMAL:-VERS-ALL:+VERS-TLS1.0:+VERS-TLS1.1:+VERS-TLS1.2:+SHA1:+ARCFOUR-128:+3DES-CBC:+RSA"
)

CONFIGURATIONS: dict[str, Start] = {
    "openssl: everything that OpenSSL 3 still has": _openssl("-cipher", _ALL),
    "openssl: TLS 1.0 alone": _openssl("-tls1", "-cipher", _ALL),
    "openssl: TLS 1.1 alone": _openssl("-tls1_1", "-cipher", _ALL),
    "openssl: TLS 1.2 with static RSA alone": _openssl("-tls1_2", "-cipher", "kRSA"),
    "openssl: Diffie-Hellman of 1024 bit": _small_dh,
    "openssl: anonymous suites": _openssl("-tls1_2", "-cipher", "ADH:AECDH:@SECLEVEL=0", kinds=()),
    "openssl: suites without encryption": _openssl("-tls1_2", "-cipher", "eNULL:@SECLEVEL=0"),
    "openssl: CBC suites alone, own order": _openssl(
        "-tls1_2", "-serverpref", "-cipher", "ECDHE+AES:!AESGCM:!AESCCM:@SECLEVEL=0"
    ),
    "openssl: elliptic curve certificate": _openssl(
        "-cipher", "ECDHE+AESGCM:ECDHE+CHACHA20", kinds=("server",)
    ),
    "openssl: certificates of two kinds": _openssl(
        "-cipher", "ECDHE+AESGCM", kinds=("server_rsa", "server")
    ),
    "openssl: TLS 1.3 alone": _openssl("-tls1_3"),
    "openssl: client certificate asked for": _openssl("-tls1_2", "-verify", "1"),
    "openssl: RSA key of 1024 bit": _openssl("-cipher", "ALL:@SECLEVEL=0", kinds=("weak_key",)),
    "gnutls: RC4 and 3DES": lambda folder, made: tls_servers.gnutls(
        folder, _GNUTLS_OLD, made.server_rsa
    ),
    "nss: SSL 3.0 to TLS 1.2": lambda folder, made: tls_servers.nss(
        folder, "ssl3:tls1.2", made.server_rsa
    ),
    "nginx: Mozilla intermediate": lambda folder, made: tls_servers.nginx(
        folder, _NGINX_INTERMEDIATE, [made.server_rsa]
    ),
    "nginx: TLS 1.0 to 1.2, own order": lambda folder, made: tls_servers.nginx(
        folder, _NGINX_OLD, [made.server_rsa]
    ),
    "python: the defaults of its ssl module": lambda _folder, made: tls_servers.python_ssl(
        made.server_rsa
    ),
    "orthanc: DICOM TLS": _orthanc,
    "dcmtk: storescp with TLS": _storescp,
}

_OLD = "version_old_offered profile_b12_missed"
_BROKEN, _CBC, _STATIC = (
    "suite_broken_offered",
    "suite_cbc_offered",
    "suite_without_forward_secrecy",
)
_SMALL, _SHA1, _ORDER = "group_dh_small", "signature_weak_accepted", "suite_order_unset"
_EVERYTHING = f"{_OLD} {_BROKEN} {_CBC} {_STATIC} {_SMALL} {_SHA1} {_ORDER}"
_OLD_ALONE = f"{_OLD} {_BROKEN} {_CBC} {_STATIC} {_SMALL}"
_FAILS = {
    "openssl: everything that OpenSSL 3 still has": _EVERYTHING,
    "openssl: TLS 1.0 alone": _OLD_ALONE,
    "openssl: TLS 1.1 alone": _OLD_ALONE,
    "openssl: TLS 1.2 with static RSA alone": f"profile_b12_missed {_CBC} {_STATIC}",
    "openssl: Diffie-Hellman of 1024 bit": f"profile_b12_missed {_SMALL} {_BROKEN} {_CBC} {_SHA1} {_ORDER}",
    "openssl: anonymous suites": f"profile_b12_missed {_SMALL} {_BROKEN} {_CBC}",
    "openssl: suites without encryption": f"profile_b12_missed {_BROKEN} {_STATIC} {_SHA1}",
    "openssl: CBC suites alone, own order": f"profile_b12_missed {_CBC} {_SHA1}",
    "openssl: client certificate asked for": f"{_CBC} {_STATIC} {_ORDER}",
    "openssl: RSA key of 1024 bit": f"{_EVERYTHING} chain_weak",
    "gnutls: RC4 and 3DES": f"{_OLD} {_BROKEN} {_CBC} {_SHA1} {_ORDER} suite_small_block_offered",
    "nss: SSL 3.0 to TLS 1.2": f"{_OLD} {_CBC} {_SHA1} ssl3_offered suite_small_block_offered",
    "nginx: TLS 1.0 to 1.2, own order": f"{_OLD} {_BROKEN} {_CBC} {_STATIC} {_SHA1}",
    "python: the defaults of its ssl module": _CBC,
    "orthanc: DICOM TLS": f"{_OLD} {_CBC} {_STATIC} {_SHA1}",
    "dcmtk: storescp with TLS": f"profile_b12_missed {_SHA1}",
}
#: Checks of the TLS area that must fail; a configuration that is not named above gives no finding.
FAILS = {
    name: frozenset(f"tls_{check}" for check in _FAILS.get(name, "").split())
    for name in CONFIGURATIONS
}
