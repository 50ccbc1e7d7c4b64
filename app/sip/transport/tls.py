"""TLS on one stream connection, without any I/O: bytes from the wire in, plain text out, and the other way round.

asyncio shows a TLS connection to its protocol only once the handshake is over, so that thousands of silent ones could
not be counted, bounded or evicted. Here a connection is known from its first byte on, and every loop behaves the same.
"""

from __future__ import annotations

import contextlib
import ssl
from typing import cast


class TlsSession:
    """The TLS state of one connection. Every method may raise ssl.SSLError, after which `output()` holds the alert."""

    def __init__(self, context: ssl.SSLContext, server_side: bool, server_name: str | None, buffer: memoryview) -> None:
        """`buffer` is where plain text lies until it is taken, at once; one serves all connections.

        Python itself would make room for the most that can come at each read and give nearly all of it back, which
        tears holes into the heap that stay for hours.
        """
        self._buffer = buffer
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_side,
            server_hostname=None if server_side else server_name,
        )
        self.established = False
        """Whether the handshake is over."""
        self.peer_closed = False
        """Whether the peer said that it sends no more (close_notify)."""

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the wire; returns the plain text in them, which is empty while the handshake goes on."""
        if data:
            self._incoming.write(data)
        if not self.established:
            try:
                self._object.do_handshake()
            except ssl.SSLWantReadError:
                return b""
            self.established = True
        buffer = self._buffer
        chunks: list[bytes] = []
        try:
            # With a buffer it gives a number, which its declared type leaves out.
            while size := cast(int, self._object.read(len(buffer), buffer)):
                chunks.append(bytes(buffer[:size]))
            self.peer_closed = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.peer_closed = True
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def encrypt(self, data: bytes) -> None:
        """Take plain text to send; the handshake must be over."""
        self._object.write(data)

    def close(self) -> None:
        """Say that no more is sent (close_notify)."""
        # It wants to read the peer's own close_notify, which is not waited for.
        with contextlib.suppress(ssl.SSLError):
            self._object.unwrap()

    def output(self) -> bytes:
        """The bytes that are to go to the wire now."""
        return self._outgoing.read()
