"""A provider that registers everybody, over UDP and TCP, answers every call, and remembers who registered when."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Sequence

from support.sip_text import SipText
from support.stream_peer import Stream
from support.udp_peers import Carrier, Reply
from support.waiting import wait_until


class Registrar:
    """Listens at an address on port 5060."""

    def __init__(self, address: str) -> None:
        self.udp = Carrier(address, 5060, self._reply)
        self._tcp_registers: list[SipText] = []
        self._listener = socket.create_server((address, 5060))
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, name=f"registrar {address}", daemon=True).start()

    def close(self) -> None:
        """Be gone."""
        self.udp.close()
        # A thread that waits in accept() is woken by the shutdown, not by the close.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            connection.close()

    @property
    def registers(self) -> list[SipText]:
        """Every REGISTER that came, retransmissions left out."""
        return [*self.udp.received("REGISTER"), *self._tcp_registers]

    def wait_for_register(self, count: int, seconds: float) -> SipText:
        """The newest REGISTER as soon as there are so many."""
        wait_until(lambda: len(self.registers) >= count, f"REGISTER number {count}", seconds)
        return self.registers[-1]

    @staticmethod
    def _reply(request: SipText) -> Sequence[Reply]:
        if request.method == "REGISTER":
            granted = (f"Contact: {request.header('Contact')}", f"Expires: {request.header('Expires')}")
            return ((200, granted),)
        return (180, 200) if request.method == "INVITE" else (200,)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        stream = Stream(connection)
        # The connection ends when its other side does, or when the test is over.
        with contextlib.suppress(OSError, AssertionError):
            while True:
                request = stream.receive(3600)
                if request.method == "REGISTER":
                    self._tcp_registers.append(request)
                if request.method:
                    stream.answer(request, 200, contact=(request.header("Contact") or "").strip("<>"))
