"""TLS without I/O: two sessions that hand each other their bytes."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from support.certificates import Authority

from app.sip.transport.tls import TlsSession

ADDRESS = "127.0.0.1"
READ = 16 * 1024


@pytest.fixture
def pair(tmp_path: Path) -> tuple[TlsSession, TlsSession]:
    """A client and a server after their handshake; both read through the same buffer, as connections do."""
    authority = Authority(tmp_path)
    buffer = memoryview(bytearray(READ))
    client = TlsSession(authority.verifying(), False, ADDRESS, buffer)
    server = TlsSession(authority.serving(ADDRESS), True, None, buffer)
    for _ in range(4):
        client.receive(server.output())
        server.receive(client.output())
    assert client.established
    assert server.established
    return client, server


def test_what_goes_in_comes_out(pair: tuple[TlsSession, TlsSession]) -> None:
    """Several records in one read, and more than one read takes."""
    client, server = pair
    texts = [b"INVITE " + bytes([letter]) * size for letter, size in ((65, 10), (66, 3 * READ), (67, 1))]
    for text in texts:
        client.encrypt(text)
    assert server.receive(client.output()) == b"".join(texts)
    server.encrypt(b"SIP/2.0 200 OK")
    assert client.receive(server.output()) == b"SIP/2.0 200 OK"
    client.close()
    server.receive(client.output())
    assert server.peer_closed


def test_a_read_takes_no_more_memory_than_what_came(pair: tuple[TlsSession, TlsSession]) -> None:
    """Room for the most that can come, given back at once, is what makes holes in the heap."""
    client, server = pair
    client.encrypt(b"x" * 500)
    record = client.output()
    tracemalloc.start()
    try:
        assert len(server.receive(record)) == 500
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < READ / 2
