"""Forwards connections, byte by byte, until standard input ends.

python relay.py <listen> <target> [<listen> <target> …]

An address is the path of a Unix socket or <host>:<port>. Prints the address that it listens on,
once the first target has let it in. It runs here and in a container of Lambda's image, so it
imports the standard library alone.
"""

import asyncio
import os
import socket
import sys

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def main(addresses: list[str]) -> None:
    """Listen on every other address, and forward to the one after it."""
    try:
        _, probe = await _connect(addresses[1])
    except OSError as error:
        sys.exit(f"relay: {addresses[1]}: {error}")
    probe.close()
    for listen, target in zip(addresses[::2], addresses[1::2], strict=True):
        await _forward(listen, target)
    is_tcp = ":" in addresses[0]
    print(socket.gethostbyname(socket.gethostname()) if is_tcp else addresses[0], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)  # connections that are open end with it


async def _forward(listen: str, target: str) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await _connect(target)
        except OSError as error:
            print(f"relay: {target}: {error}", file=sys.stderr, flush=True)
            writer.close()
            return
        await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))

    if ":" in listen:
        host, _, port = listen.rpartition(":")
        await asyncio.start_server(connected, host, int(port))
    else:
        await asyncio.start_unix_server(connected, listen)


async def _connect(target: str) -> Streams:
    if ":" in target:
        host, _, port = target.rpartition(":")
        return await asyncio.open_connection(host, int(port))
    return await asyncio.open_unix_connection(target)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:  # the other end has closed
        writer.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
