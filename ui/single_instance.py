"""One window per data folder: a second start raises the first and ends."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

ANSWER_WITHIN = 1000
"""Milliseconds that the first instance has to answer; one that hangs does not keep the second from saying so."""


class SingleInstance(QObject):
    """Owns the name of this data folder, or knows that another window owns it."""

    raised = Signal()
    """Another start asks this window to come to the front."""

    def __init__(self, data_directory: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        folder = os.path.normcase(str(data_directory.resolve()))
        user = os.environ.get("USERNAME") or os.environ.get("USER") or str(getattr(os, "getuid", int)())
        self._name = f"trunkline-{hashlib.sha256(f'{user}/{folder}'.encode()).hexdigest()[:24]}"
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._connected)

    def claim(self) -> bool:
        """Become the one window; False when there is one already, which has then been raised."""
        if self._raise_other():
            return False
        if not self._server.listen(self._name):
            # What a crashed window has left behind; nobody answered there.
            QLocalServer.removeServer(self._name)
            self._server.listen(self._name)
        return True

    def _raise_other(self) -> bool:
        socket = QLocalSocket()
        socket.connectToServer(self._name)
        if not socket.waitForConnected(ANSWER_WITHIN):
            return False
        socket.write(b"raise\n")
        socket.waitForBytesWritten(ANSWER_WITHIN)
        socket.disconnectFromServer()
        return True

    def _connected(self) -> None:
        while (socket := self._server.nextPendingConnection()) is not None:
            socket.disconnected.connect(socket.deleteLater)
            self.raised.emit()

    def release(self) -> None:
        """Let the name go."""
        self._server.close()
