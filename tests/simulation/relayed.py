"""A media control that opens no socket: the session descriptions of relayed calls are real, no packet flows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulation.raw import Wire
from simulation.world import START_OF_TIME

from app.calls.leg_events import Body
from app.media.control import MediaControl, MediaSettings, _Slot
from app.media.figures import EMPTY_ROW
from app.media.messages import Command, Message, Report

OUR_ADDRESS = "10.0.0.5"


class PaperLink:
    """The end of a worker that opens, closes and does nothing else."""

    number = 1
    ready = True
    pid = 0

    def __init__(self, control: MediaControl) -> None:
        self._control = control
        self.heard_at = START_OF_TIME
        self.commands: list[Message] = []

    def start(self) -> None:
        """It runs."""

    def flush(self) -> None:
        """Nothing waits."""

    def kill(self) -> None:
        """It does not hang."""

    async def stop(self) -> None:
        """It ends."""

    def send(self, message: Message) -> None:
        self.commands.append(message)
        if message[0] == Command.CLOSE:
            row = tuple(EMPTY_ROW)
            self._control.link_message(self, (int(Report.CLOSED), message[1], (message[1], row, row, 0.0)))

    def digits(self) -> list[Message]:
        """The digits that were to be put into a stream."""
        return [message for message in self.commands if message[0] == Command.DIGIT]


class PaperControl(MediaControl):
    """Gives ports from the range without binding them."""

    def __init__(self, settings: MediaSettings, clock: Callable[[], float]) -> None:
        super().__init__(settings, None, clock)
        self.link = PaperLink(self)
        self._slots.append(_Slot(0, self.link))

    def _take_port(self, address: str, slot: int) -> int:
        port = self._address(address).take_free(slot)
        return port if port is not None else super()._take_port(address, slot)


class RelayedWire(Wire):
    """The peers of `Wire`, and a switch that can relay their audio."""

    def __init__(self, document: dict[str, object], first: int = 20_000, last: int = 29_999) -> None:
        super().__init__(document)
        self.control = PaperControl(MediaSettings(port_first=first, port_last=last), self.world.clock.monotonic)
        self.switch.relays.attach(self.control)

    def settle(self, seconds: float = 200.0) -> None:
        """Beside what `Wire` looks at: no session and no port is left."""
        super().settle(seconds)
        assert not self.control.sessions
        assert not any(ports.used for ports in self.control._ports.values())


def audio(host: str, port: int = 4000, formats: str = "8 101", *attributes: str, connection: str = "") -> Body:
    """The session description of a phone with one audio stream."""
    maps = {"0": "PCMU/8000", "8": "PCMA/8000", "9": "G722/8000", "18": "G729/8000"}
    family = "IP6" if ":" in host else "IP4"
    lines: list[Any] = [
        "v=0",
        f"o=- {port} 1 IN {family} {host}",
        "s=-",
        f"c=IN {family} {connection or host}",
        "t=0 0",
        f"m=audio {port} RTP/AVP {formats}",
        *(f"a=rtpmap:{number} {maps.get(number, 'telephone-event/8000')}" for number in formats.split()),
        *attributes,
    ]
    return Body("application/sdp", "".join(f"{line}\r\n" for line in lines).encode())
