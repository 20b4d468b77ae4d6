"""A server on loopback that plays a script on each connection, and leaves nothing behind."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from loopback import HOST

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Play the script on each connection; at the end all of them are closed and waited for."""
    running: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running[task] = writer
        try:
            await script(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(run, HOST, 0, ssl=tls) as listening:
        yield listening.sockets[0].getsockname()[1]
        for writer in running.values():
            writer.transport.abort()
        if running:
            await asyncio.wait(running)


async def read_all(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Listen, and say nothing."""
    await reader.read()
