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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from doorward.errors import ConfigError, TlsFailed
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.dial import Gate, dial, tls_failure
from doorward.wire.wiped import wipe

#: Read at a time of what nobody asked for.
_DROPPED_BYTES = 4_096
#: What the rest of the project calls a context, so that no floor above needs ``ssl``.
TlsContext = ssl.SSLContext
#: The versions a probe can offer alone, oldest first. SSLv3 and below: not in OpenSSL 3, see docs/not-supported.md.
TLS_VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}

#: SSL_OP_CLEANSE_PLAINTEXT of OpenSSL 3: what was decrypted is zeroed once it is read. Python has no name for it.
_CLEANSE_PLAINTEXT = 0x2
#: RFC 9325 section 4.2 (BCP 195), as PS3.15 B.12 asks; the TLS 1.3 suites of OpenSSL are added by themselves.
SERVER_SUITES = "ECDHE+AESGCM:DHE+AESGCM:ECDHE+CHACHA20"


#: Who is told of a handshake that is refused; None: nobody.
_TOLD: ContextVar[Callable[[str], None] | None] = ContextVar("told", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSession:
    """What one handshake agreed on. ``certificate`` is the peer's leaf as DER."""

    version: str
    cipher: str
    bits: int
    certificate: bytes | None


def server_context(
    certificate: Path,
    key: Path,
    *,
    client_authorities: Path | None = None,
    asks_only: bool = False,
) -> ssl.SSLContext:
    """Return the context that we serve with; with ``client_authorities`` a client certificate is required.

    ``asks_only``: it may be missing, for HTTPS, where a token or a login may stand for it; one that is shown is verified all
    the same. Raises ConfigError when a file cannot be read or key and certificate do not belong together.
    """
    context = _AlertingContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = _AlertingObject
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(SERVER_SUITES)
    _load_chain(context, certificate, key)
    if client_authorities is not None:
        context.verify_mode = ssl.CERT_OPTIONAL if asks_only else ssl.CERT_REQUIRED
        _load_authorities(context, client_authorities)
    return context


def present(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Show another certificate from the next handshake on. Raises ConfigError as ``server_context`` does."""
    _load_chain(context, certificate, key)


def refuse_revoked(context: ssl.SSLContext, revocations: Path) -> None:
    """From the next handshake on refuse whom the list names (RFC 5280 section 5); a later list adds to an earlier one.

    Raises ConfigError where the file cannot be read or holds no list.
    """
    _load_authorities(context, revocations)
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


@contextmanager
def telling(told: Callable[[str], None]) -> Iterator[None]:
    """Have it told why a handshake is refused that begins inside; in OpenSSL's words, nothing that the peer chose."""
    before = _TOLD.set(told)
    try:
        yield
    finally:
        _TOLD.reset(before)


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
    context.options |= _CLEANSE_PLAINTEXT
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

    For looking, never for confidential data. Without a certificate it is shared: change nothing in it.
    """
    if certificate is None:
        return _nameless_probe_context(only)
    context = _new_probe_context(only)
    _load_chain(context, certificate, key or certificate)
    return context


@cache  # one for each version serves every system of a survey
def _nameless_probe_context(only: str | None) -> ssl.SSLContext:
    return _new_probe_context(only)


def _new_probe_context(only: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.0 and 1.1 are what we look for
        context.minimum_version = TLS_VERSIONS[only or "TLSv1"]
        context.maximum_version = TLS_VERSIONS[only or "TLSv1.3"]
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.sslobject_class = _WatchedObject
    context.options |= getattr(ssl, "OP_LEGACY_SERVER_CONNECT", 0x4) | _CLEANSE_PLAINTEXT
    return context


@cache  # reading the system's authorities takes 50 ms and 1 MB; one context serves every system of a survey
def verifying_probe_context(authorities: Path | None = None) -> ssl.SSLContext:
    """Return a probe context that fails on a chain which the authorities did not sign; names are not checked."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.options |= _CLEANSE_PLAINTEXT
    if authorities is not None:
        _load_authorities(context, authorities)
    return context


class _AlertingContext(ssl.SSLContext):
    """A server's context whose refusals reach the client as an alert (RFC 8446 section 6.2).

    asyncio drops the connection when a handshake fails, and with it the alert that OpenSSL has just written; the client
    would see a lost connection and could not tell that its certificate is missing.
    """

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Return the object of one connection; it knows where its alerts wait."""
        made = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        assert isinstance(made, _AlertingObject)
        made.outgoing, made.told = outgoing, _TOLD.get()
        return made


class _AlertingObject(ssl.SSLObject):
    """The server's side of one handshake.

    A failure with an alert is first shown to asyncio as "more bytes are needed", which makes it send what is waiting, and
    raised when the client reacts or the time for a handshake is up.
    """

    outgoing: ssl.MemoryBIO
    told: Callable[[str], None] | None = None
    _failure: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        """Go on with the handshake; raises as ``ssl.SSLObject`` does."""
        if self._failure is not None:
            raise self._failure
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as failure:
            self._tell(failure)
            if not self.outgoing.pending:
                raise
            self._failure = failure
            raise ssl.SSLWantReadError("the alert leaves first") from failure

    def _tell(self, failure: ssl.SSLError) -> None:
        if self.told is not None and not isinstance(failure, ssl.SSLEOFError):
            words = getattr(failure, "verify_message", "") or failure.reason or "no handshake"
            self.told(f"TLS: {words.lower().replace('_', ' ')}")
            self.told = None


class _WatchedObject(ssl.SSLObject):
    """Our side of a probe's handshake, which knows how far it came.

    Up to TLS 1.2 one alert, handshake_failure, says both "no suite in common" and "your certificate is missing". The second
    comes only after a suite was agreed on, and is given the name that TLS 1.3 has for it (RFC 8446 section 6.2).
    """

    def do_handshake(self) -> None:
        """Go on with the handshake; raises as ``ssl.SSLObject`` does."""
        try:
            super().do_handshake()
        except ssl.SSLError as failure:
            if "HANDSHAKE_FAILURE" in (failure.reason or "") and self.cipher() is not None:
                failure.reason = "CERTIFICATE_REQUIRED"
            raise


class _Handshake(asyncio.BufferedProtocol):
    """Nothing but the handshake: what the peer sends after it is dropped unread."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.loss: TlsFailed | None = None
        self._buffer = memoryview(bytearray(_DROPPED_BYTES))

    def get_buffer(self, sizehint: int) -> memoryview:
        """One place for all that is dropped."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Drop it at once (promise 2)."""
        wipe(self._buffer, nbytes)

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
        if protocol.gone.is_set():
            raise TlsFailed("the peer hung up after the TLS handshake", kind="closed")
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
