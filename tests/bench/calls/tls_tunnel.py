"""TLS for a SIPp that was built without it: two tunnels that end when standard input is closed.

    tls_tunnel.py CERTIFICATE KEY CARRIER TLS_PORT TCP_PORT CALLER TUNNEL_PORT SERVER SERVER_TLS_PORT

Who connects to CARRIER:TLS_PORT by TLS is joined to CARRIER:TCP_PORT; who connects to CALLER:TUNNEL_PORT is joined to
SERVER:SERVER_TLS_PORT by TLS, from the address CALLER.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from collections.abc import Awaitable, Callable

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything that comes, until its end."""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(65536):
            writer.write(data)
    with contextlib.suppress(ConnectionError, RuntimeError):
        writer.close()


def joined_to(connect: Callable[[], Awaitable[Streams]]) -> Callable[..., Awaitable[None]]:
    """What to do with a new connection: join it to another one."""

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await connect()
        # Cancelled when the tunnels end: asyncio.streams would print that.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(pour(reader, other_writer), pour(other_reader, writer))

    return join


async def main(arguments: list[str]) -> None:
    certificate, key, carrier, tls_port, tcp_port, caller, tunnel_port, server, server_port = arguments
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    to_carrier = joined_to(lambda: asyncio.open_connection(carrier, int(tcp_port)))
    to_server = joined_to(
        lambda: asyncio.open_connection(server, int(server_port), ssl=trusting, local_addr=(caller, 0))
    )
    await asyncio.start_server(to_carrier, carrier, int(tls_port), ssl=serving)
    await asyncio.start_server(to_server, caller, int(tunnel_port))
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
