"""One connection to the NATS server, and the few words of JetStream that sensors and coordinator speak over it.

Theory of operation: nats-py keeps the connection and makes it anew for ever; what was under way then is uncertain and ends
as ``ReplyTimeout``: the caller asks again in a way that does no harm twice. JetStream is spoken in its own JSON, so that no
version of the library decides what a stream looks like. Streams are work queues in files: each message has a subject of its
own, which the stream takes once as long as the first one is there; a message is gone when it is acknowledged; what is not
acknowledged within its lease goes to the next who asks. Every process has answers sent to an inbox that only it may read.

Without TLS nothing is said: nats-py would go on in the clear where the server's first line does not ask for TLS, and that
line can be changed on its way.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import AuthorizationError, NoRespondersError, NoServersError
from nats.errors import Error as NatsError

from doorward.audit.sensors.config import NatsConfig
from doorward.audit.sensors.subjects import SUBJECTS, Delivery
from doorward.errors import ConfigError, ConnectFailed, PeerError, ReplyTimeout, TransportError
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.tls import client_context

_ACK, _NAK, _WORKING = b"+ACK", b"-NAK", b"+WPI"
_NANO = 1_000_000_000
#: JetStream: the stream has another shape already.
_NAME_IN_USE = 10058
#: For an end that may never come and that nobody needs.
_AT_ONCE_S = 0.1
#: Connections that end at once without a word, until that is all there is to say.
_RESETS = 4
#: JetStream: stream or consumer not found.
_NOT_FOUND = (10059, 10014)
#: JetStream: a message of this subject is waiting already.
_PER_SUBJECT = "per subject"
#: An answer that is not a message: no responders.
_NOBODY = "503"
#: What nats-py raises when the connection is lost, closed, or not made; OSError holds TLS. AttributeError is what asyncio's
#: TLS transport has for who still writes to it after its end.
_FAULTS = (NatsError, OSError, TimeoutError, AttributeError)


def _is_worth_saying(record: logging.LogRecord) -> bool:
    """False for what asyncio says whenever a server ends a TLS connection of nats-py's: it is of no use to anybody."""
    return "eof_received() has no effect when using ssl" not in record.getMessage()


logging.getLogger("asyncio").addFilter(_is_worth_saying)


class Absent(TransportError):
    """The stream or consumer that was asked is not there (yet)."""


class Refused(PeerError):
    """JetStream would not do it; ``code`` is its own number of the error."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


class _Client(Client):
    """nats-py, which never says who it is before TLS is up."""

    is_plain = False

    def _connect_command(self) -> bytes:
        if not self.is_plain and not self._server_info.get("tls_required"):
            raise NatsError("nats: the server does not ask for TLS")
        command: bytes = super()._connect_command()
        return command


@asynccontextmanager
async def linked(
    config: NatsConfig,
    *,
    is_patient: bool,
    say: Callable[[str], None] = lambda _: None,
    limits: Limits = DEFAULT_LIMITS,
) -> AsyncIterator["Link"]:
    """Give a connection; ``is_patient``: wait for a server that cannot be reached yet.

    Raises ConfigError for credentials that the server refuses or whose files cannot be used, ConnectFailed without a server.
    """
    link = Link(config, say=say, limits=limits)
    try:
        await link.connect(is_patient=is_patient)
        yield link
    finally:
        await link.close()


class Link:
    """The connection, whatever happens to it."""

    def __init__(self, config: NatsConfig, *, say: Callable[[str], None], limits: Limits) -> None:
        self._config = config
        self._say = say
        self._limits = limits
        self._tls = None
        if not config.is_plain:
            self._tls = client_context(
                authorities=config.ca, certificate=config.certificate, key=config.key
            )
        self._client: _Client | None = None
        self._opening = asyncio.Lock()
        self._changed = asyncio.Event()
        self._said: set[str] = set()
        self._last_fault: Exception | None = None
        self._is_ending = False

    @property
    def payload_bytes(self) -> int:
        """The longest message that the server takes."""
        assert self._client is not None
        return int(self._client.max_payload)

    @property
    def is_connected(self) -> bool:
        """The server can be reached now."""
        return self._client is not None and bool(self._client.is_connected)

    # --- the connection -----------------------------------------------------------------------------------------------

    async def connect(self, *, is_patient: bool) -> None:
        """Connect for the first time."""
        tries = 0
        while self._client is None:
            try:
                self._client = await self._opened()
            except ConnectFailed as failed:
                # A refusal of our certificate may be overtaken by the end of the connection: the next one may say it.
                tries += 1
                if failed.hint and tries < _RESETS:
                    continue
                if not is_patient:
                    raise
                self._say_once(" ".join(filter(None, (f"{failed}; trying again.", failed.hint))))
                await asyncio.sleep(self._limits.sensor_retry_s)

    async def close(self) -> None:
        """Say what is still to be said, and end the connection."""
        self._is_ending = True
        if self._client is None:
            return
        try:
            if self._client.is_connected:
                await self._client.flush(timeout=int(self._limits.sensor_farewell_s))
        except _FAULTS:
            pass  # it is gone anyway
        await self._dropped(self._client, self._limits.sensor_farewell_s)

    async def _opened(self) -> _Client:
        config, limits = self._config, self._limits
        client = _Client()
        client.is_plain = config.is_plain
        self._last_fault = None
        try:
            await client.connect(
                servers=list(config.servers),
                name=f"doorward {config.name}",
                tls=self._tls,
                inbox_prefix=f"_INBOX_{config.name}",
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=int(limits.sensor_reply_s),
                ping_interval=int(limits.sensor_ping_s),
                error_cb=self._on_error,
                disconnected_cb=self._on_lost,
                reconnected_cb=self._on_found,
                closed_cb=self._on_closed,
                user=config.user or None,
                password=config.password or None,
            )
        except _FAULTS as fault:
            # What TLS has to say often comes after the end of the connection.
            is_vague = isinstance(fault, (NoServersError, ConnectionError))
            await self._dropped(client, limits.sensor_farewell_s if is_vague else _AT_ONCE_S)
            raise self._failure(self._cause(fault) if is_vague else fault) from None
        # From here on it is the server's or the network's fault, and passes.
        client.options["allow_reconnect"] = True
        client.options["max_reconnect_attempts"] = -1
        client.options["reconnect_time_wait"] = limits.sensor_retry_s
        return client

    def _cause(self, fault: Exception) -> Exception:
        return self._last_fault or fault

    async def _dropped(self, client: _Client, most_s: float) -> None:
        """Close a client; where the TLS handshake has failed, nats-py would wait for ever for the end of it."""
        try:
            async with asyncio.timeout(most_s):
                await client.close()
        except _FAULTS:
            pass

    def _failure(self, fault: Exception) -> ConfigError | ConnectFailed:
        """Return what went wrong at the first try: the file's fault, or the server's."""
        config = self._config
        where = ", ".join(config.servers)
        words = str(fault).lower()
        reason = str(getattr(fault, "reason", "") or "").upper()
        if isinstance(fault, AuthorizationError) or "authorization" in words:
            field = "nats.user" if config.user else "nats.certificate"
            message = f"{where} does not know who this is"
            hint = "The server's file must name this user; 'doorward sensor init' writes both."
            return ConfigError(message, file=config.file, field=field, hint=hint)
        if "CERTIFICATE_VERIFY" in reason:
            message = f"{where} showed a certificate that this authority did not sign for that name"
            return ConfigError(message, file=config.file, field="nats.ca")
        if "ALERT" in reason or "CERTIFICATE" in reason:
            message = f"{where} refused this certificate"
            hint = "It must be signed by the server's authority, and be valid today."
            return ConfigError(message, file=config.file, field="nats.certificate", hint=hint)
        if "does not ask for tls" in words:
            message = f"{where} does not speak TLS: nothing was sent to it"
            return ConfigError(message, file=config.file, field="nats.servers")
        kind = "refused" if isinstance(fault, ConnectionRefusedError) else "unreachable"
        if isinstance(fault, ConnectionResetError):
            message = f"the NATS server {where} ended the connection at once"
            return ConnectFailed(message, kind=kind, hint="Perhaps it refuses this certificate.")
        return ConnectFailed(f"the NATS server {where} cannot be reached", kind=kind)

    async def _ready(self) -> _Client:
        """Return the client as soon as it is connected; a client that gave up is replaced."""
        while True:
            client = self._client
            assert client is not None, "connect comes first"
            if client.is_connected:
                return client
            if client.is_closed:
                await self._reopen(client)
            else:
                self._changed.clear()
                await self._changed.wait()

    async def _reopen(self, given_up: _Client) -> None:
        async with self._opening:
            if self._client is not given_up:
                return
            try:
                self._client = await self._opened()
            except (ConfigError, ConnectFailed) as failed:
                # It let us in before: whatever it is, it passes or somebody is told.
                self._say_once(f"{failed}; trying again")
                await asyncio.sleep(self._limits.sensor_retry_s)
            else:
                await self._on_found()

    async def _on_error(self, fault: Exception) -> None:
        self._last_fault = fault
        if "permissions violation" in str(fault).lower():
            self._say_once(f"the NATS server does not allow it: {fault}")

    async def _on_lost(self) -> None:
        if not self._is_ending and self._client is not None:
            self._say("lost the NATS server; trying again")

    async def _on_found(self) -> None:
        self._said.clear()
        self._say("found the NATS server again")
        self._changed.set()

    async def _on_closed(self) -> None:
        self._changed.set()

    def _say_once(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            self._say(message)

    # --- messages -----------------------------------------------------------------------------------------------------

    async def pull(self, stream: str, consumer: str) -> Delivery | None:
        """Return the next message of a consumer, None where none came within ``limits.sensor_pull_s``.

        What comes when nobody waits any more, because the caller was cancelled, is given back at once. A consumer that is not
        there stays silent, too. Raises Absent where there is no JetStream.
        """
        client = await self._ready()
        answer: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()

        async def take(message: Msg) -> None:
            if not answer.done():
                answer.set_result(message)
            elif message.reply:
                await self.give_back(_delivery(message))

        try:
            inbox = client.new_inbox()
            # For this one request alone.
            answers = await client.subscribe(inbox, cb=take)
            is_taken = False
            try:
                delivery = await self._pulled(client, stream, consumer, inbox, answer)
                await answers.unsubscribe()
                is_taken = True
            finally:
                if not is_taken:
                    await self._left_over(answers, answer)
        except _FAULTS:
            return None
        return delivery

    async def _left_over(self, answers: Subscription, answer: "asyncio.Future[Msg]") -> None:
        """Give back what was handed out to somebody who does not wait any more."""
        try:
            async with asyncio.timeout(self._limits.sensor_reply_s):
                if answer.cancel():
                    # Until the server knows, it may hand something out; ``take`` gives that back.
                    await answers.drain()  # type: ignore[no-untyped-call]
                elif answer.result().reply:
                    await self.give_back(_delivery(answer.result()))
        except _FAULTS:
            pass  # nothing may take the place of the cancellation that is under way

    async def _pulled(
        self, client: _Client, stream: str, consumer: str, inbox: str, answer: "asyncio.Future[Msg]"
    ) -> Delivery | None:
        wait_s = self._limits.sensor_pull_s
        request = {"batch": 1, "expires": int(wait_s * _NANO)}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        await client.publish(subject, json.dumps(request).encode(), reply=inbox)
        async with asyncio.timeout(wait_s + self._limits.sensor_retry_s):
            message = await asyncio.shield(answer)
        if message.reply:
            return _delivery(message)
        if (message.headers or {}).get("Status", "") == _NOBODY:
            raise Absent("the NATS server has no JetStream")
        return None

    async def publish(self, subject: str, content: bytes) -> int | None:
        """Store a message; return its number in the stream, None where one of this subject is waiting already.

        Raises ReplyTimeout where it is not known whether it was stored, Refused where it was not, Absent without a stream.
        """
        answer = await self._request(subject, content)
        if "error" not in answer:
            return int(answer.get("seq", 0))
        refused = _refused(answer)
        if _PER_SUBJECT in str(refused):
            return None
        raise refused

    async def acknowledge(self, delivery: Delivery) -> None:
        """Say that a message is dealt with for good."""
        await self._answer(delivery, _ACK)

    async def give_back(self, delivery: Delivery, later_s: float = 0.0) -> None:
        """Say that somebody else is to get a message, at once or later."""
        delay = json.dumps({"delay": int(later_s * _NANO)}).encode()
        await self._answer(delivery, _NAK + b" " + delay if later_s else _NAK)

    async def working(self, delivery: Delivery) -> None:
        """Renew the lease of a message."""
        await self._answer(delivery, _WORKING)

    async def _answer(self, delivery: Delivery, word: bytes) -> None:
        """Send without waiting; what is lost on the way comes again and is answered again."""
        client = self._client
        try:
            if client is not None and not client.is_closed:
                await client.publish(delivery.reply, word)
        except _FAULTS:
            pass

    # --- JetStream ----------------------------------------------------------------------------------------------------

    async def api(self, verb: str, body: object = None) -> dict[str, Any]:
        """Return JetStream's answer; raises Refused, Absent, ReplyTimeout."""
        content = b"" if body is None else json.dumps(body).encode()
        answer = await self._request(f"$JS.API.{verb}", content)
        if "error" in answer:
            raise _refused(answer)
        return answer

    async def _request(self, subject: str, content: bytes) -> dict[str, Any]:
        client = await self._ready()
        try:
            message = await client.request(subject, content, timeout=self._limits.sensor_reply_s)
            _keep_cancellation()
            answer = json.loads(message.data)
        except NoRespondersError:
            raise Absent("the NATS server has no JetStream, or not this stream") from None
        except (*_FAULTS, ValueError):
            raise ReplyTimeout("the NATS server did not answer in time") from None
        return answer if isinstance(answer, dict) else {}

    async def make_stream(self, stream: str) -> None:
        """Make a stream where there is none; raises ConfigError for one that is no work queue of ours."""
        limits = self._limits
        config = {
            "name": stream,
            "subjects": [f"{SUBJECTS[stream]}.>"],
            "retention": "workqueue",
            "storage": "file",
            "discard": "new",
            "discard_new_per_subject": True,
            "max_msgs_per_subject": 1,
            "max_msgs": -1,
            "max_bytes": limits.sensor_stream_bytes,
            "max_age": limits.sensor_stream_days * 86_400 * _NANO,
            "max_msg_size": -1,
            "max_consumers": -1,
            "num_replicas": 1,
        }
        try:
            await self.api(f"STREAM.CREATE.{stream}", config)
        except Refused as refused:
            if refused.code != _NAME_IN_USE:
                raise
            found = (await self.api(f"STREAM.INFO.{stream}")).get("config", {})
            # Sizes and replicas are the operator's to change.
            for name in ("subjects", "retention", "discard_new_per_subject"):
                if found.get(name) != config[name]:
                    message = f"the stream {stream} of the NATS server has another {name}"
                    hint = f"Delete it: nats stream rm {stream}"
                    raise ConfigError(message, file=self._config.file, hint=hint) from None

    async def make_consumer(
        self, stream: str, consumer: str, subject: str, *, lease_s: float, at_a_time: int
    ) -> None:
        """Make a durable pull consumer of some subjects of a stream, or change the one that is there."""
        config = {
            "durable_name": consumer,
            "filter_subject": subject,
            "ack_policy": "explicit",
            "ack_wait": int(lease_s * _NANO),
            "max_ack_pending": at_a_time,
            "max_deliver": -1,
            "deliver_policy": "all",
            "replay_policy": "instant",
        }
        body = {"stream_name": stream, "config": config}
        await self.api(f"CONSUMER.DURABLE.CREATE.{stream}.{consumer}", body)

    async def subjects(self, stream: str, pattern: str) -> set[str]:
        """Return the subjects of a stream that hold a message."""
        found = await self.api(f"STREAM.INFO.{stream}", {"subjects_filter": pattern})
        return set(found.get("state", {}).get("subjects") or ())


def _keep_cancellation() -> None:
    """Raise the cancellation that ``asyncio.wait_for`` in nats-py drops when an answer comes at the same moment.

    Python 3.11 and before (cpython issue 86296).
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _delivery(message: Msg) -> Delivery:
    return Delivery(subject=message.subject, content=message.data, reply=message.reply)


def _refused(answer: dict[str, Any]) -> Refused | Absent:
    error = answer["error"] if isinstance(answer["error"], dict) else {}
    description = str(error.get("description", "without a reason"))
    code = int(error.get("err_code", 0))
    if code in _NOT_FOUND:
        return Absent(f"the NATS server does not have it: {description}")
    return Refused(f"the NATS server refused it: {description}", code=code)
