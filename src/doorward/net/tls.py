"""TLS contexts for both sides, and one bounded handshake for the auditor.

Three contexts, for three purposes that must not be mixed up:
``server_context`` is what we serve (PS3.15 B.12: TLS 1.2 and 1.3 only, forward secrecy, AEAD);
``client_context`` is how we connect when the connection itself must be safe (verified, with our certificate);
``probe_context`` is how the auditor looks at a stranger: it trusts everybody and accepts old versions, because its task is
to see them, and nothing of value ever travels over it.
"""

import asyncio
import ssl
import warnings
from dataclasses import dataclass
from pathlib import Path

from doorward.errors import ConfigError, TlsFailed
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.dial import Gate, dial, tls_failure

#: What the rest of the project calls a context, so that no floor above needs ``ssl``.
TlsContext = ssl.SSLContext
#: The versions a probe can offer alone, oldest first. SSLv3 and below: not in OpenSSL 3, see docs/not-supported.md.
TLS_VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}

#: RFC 9325 section 4.2 (BCP 195), as PS3.15 B.12 asks; the TLS 1.3 suites of OpenSSL are added by themselves.
_SUITES = "ECDHE+AESGCM:DHE+AESGCM:ECDHE+CHACHA20"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSession:
    """What one handshake agreed on. ``certificate`` is the peer's leaf as DER."""

    version: str
    cipher: str
    bits: int
    certificate: bytes | None


def server_context(
    certificate: Path, key: Path, *, client_authorities: Path | None = None
) -> ssl.SSLContext:
    """Return the context that we serve with; with ``client_authorities`` a client certificate is required.

    Raises ConfigError when a file cannot be read or key and certificate do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_SUITES)
    _load_chain(context, certificate, key)
    if client_authorities is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        _load_authorities(context, client_authorities)
    return context


def client_context(
    *,
    authorities: Path | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    check_name: bool = True,
) -> ssl.SSLContext:
    """Return a verifying client context; ``authorities`` None means the system's store."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = check_name
    if authorities is not None:
        _load_authorities(context, authorities)
    if certificate is not None:
        _load_chain(context, certificate, key or certificate)
    return context


def probe_context(
    *,
    certificate: Path | None = None,
    key: Path | None = None,
    only: str | None = None,
) -> ssl.SSLContext:
    """Return a context that accepts whatever the peer has, down to TLS 1.0; ``only`` offers one of ``TLS_VERSIONS``.

    For looking, never for confidential data.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.0 and 1.1 are what we look for
        context.minimum_version = TLS_VERSIONS[only or "TLSv1"]
        context.maximum_version = TLS_VERSIONS[only or "TLSv1.3"]
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.options |= getattr(ssl, "OP_LEGACY_SERVER_CONNECT", 0x4)
    if certificate is not None:
        _load_chain(context, certificate, key or certificate)
    return context


def verifying_probe_context(authorities: Path | None = None) -> ssl.SSLContext:
    """Return a probe context that fails on a chain which the authorities did not sign; names are not checked."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.set_ciphers("ALL:@SECLEVEL=0")
    if authorities is not None:
        _load_authorities(context, authorities)
    return context


class _Handshake(asyncio.Protocol):
    """Nothing but the handshake: what the peer sends after it is dropped unread."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.loss: TlsFailed | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Keep the reason: TLS 1.3 refuses a missing client certificate only after the handshake."""
        if isinstance(exc, ssl.SSLError):
            self.loss = tls_failure(exc)
        self.gone.set()


async def handshake(
    address: str,
    port: int,
    context: ssl.SSLContext,
    *,
    gate: Gate,
    server_name: str | None = None,
    linger_s: float = 0.0,
    limits: Limits = DEFAULT_LIMITS,
) -> TlsSession:
    """Make one TLS handshake and close. Raises what ``dial`` raises, TlsFailed above all.

    ``linger_s``: how long to listen afterwards for an alert that refuses the missing client certificate (TLS 1.3).
    """
    transport, protocol = await dial(
        address,
        port,
        gate=gate,
        protocol=_Handshake,
        tls=context,
        server_name=server_name,
        limits=limits,
    )
    try:
        session = session_of(transport.get_extra_info("ssl_object"))
        try:
            async with asyncio.timeout(linger_s):
                await protocol.gone.wait()
        except TimeoutError:
            pass
        if protocol.loss is not None:
            raise protocol.loss
        return session
    finally:
        transport.abort()


def session_of(tls: ssl.SSLObject) -> TlsSession:
    """Return what a TLS connection agreed on."""
    name, _, bits = tls.cipher() or ("", "", 0)
    return TlsSession(
        version=tls.version() or "",
        cipher=name,
        bits=bits,
        certificate=tls.getpeercert(binary_form=True),
    )


def _load_chain(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        context.load_cert_chain(certificate, key)
    except FileNotFoundError as error:
        missing = certificate if not certificate.exists() else key
        raise ConfigError("no such file", file=missing, hint="give a PEM file") from error
    except PermissionError as error:
        raise ConfigError("cannot be read", file=key, hint="check its owner and mode") from error
    except ssl.SSLError as error:
        raise ConfigError(
            "certificate and key cannot be used together",
            file=certificate,
            hint="both must be PEM, the key unencrypted and belonging to the certificate",
        ) from error


def _load_authorities(context: ssl.SSLContext, authorities: Path) -> None:
    try:
        context.load_verify_locations(authorities)
    except FileNotFoundError as error:
        raise ConfigError("no such file", file=authorities, hint="give a PEM file") from error
    except ssl.SSLError as error:
        raise ConfigError("holds no PEM certificate", file=authorities) from error
