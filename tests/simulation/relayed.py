"""A media control that opens no socket: the session descriptions of relayed calls are real, no packet flows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulation.raw import SERVER, RawPeer, Wire
from simulation.world import START_OF_TIME, World
from support.sip_text import digest_header

from app.calls.leg_events import Body
from app.hosts import bracketed
from app.media.control import MediaControl, MediaSettings, _Slot
from app.media.figures import EMPTY_ROW
from app.media.messages import Command, Message, Report
from app.sip.endpoint import new_call_id, new_tag
from app.sip.flow import Flow
from app.sip.message import Request, Response

OUR_ADDRESS = "10.0.0.5"


Ends = tuple[tuple[str, int], ...]


class PaperLink:
    """The end of a worker that opens, closes and does nothing else."""

    number = 1
    ready = True
    pid = 0

    def __init__(self, control: MediaControl) -> None:
        self._control = control
        self.heard_at = START_OF_TIME
        self.commands: list[Message] = []
        self.listening: dict[int, list[Ends]] = {}
        """By session: the addresses and ports of each side where the relay listens, first the one where the side is."""

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
        if message[0] == Command.OPEN:
            self.listening[message[1]] = list(message[2:])
        elif message[0] == Command.PLACE:
            self.listening[message[1]][message[2]] = message[3]
        elif message[0] == Command.CLOSE:
            del self.listening[message[1]]
            row = tuple(EMPTY_ROW)
            self._control.link_message(self, (int(Report.CLOSED), message[1], (message[1], row, row, 0.0)))
        elif message[0] == Command.RELEASE:
            in_use = {end for sides in self.listening.values() for ends in sides for end in ends}
            assert not in_use.intersection(message[2]), "ports of a call are given back"
            self._control.link_message(self, (int(Report.RELEASED), message[1]))

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


class DistantPhone(RawPeer):
    """A phone that speaks to the switch at another of its addresses, of either family."""

    def __init__(self, world: World, host: str, server: str) -> None:
        # In SIP an IPv6 address stands in brackets, in a flow it does not.
        super().__init__(world, bracketed(host))
        self.address = host
        self._to_server = Flow("udp", host, self.port, server, SERVER[1])
        world.receivers[host, self.port] = self._receive

    def send(self, message: Request | Response) -> None:
        self.world.send(self._to_server, message.to_bytes())

    def move(self, port: int) -> None:
        """Speak from another port from now on, as behind a NAT that has forgotten the old one."""
        self._to_server = self._to_server._replace(local_port=port)
        self.world.receivers[self.address, port] = self._receive

    def register(self, number: str) -> None:
        """Register as a local user's phone; the password is `secret` and the number."""
        uri = f"sip:{bracketed(self._to_server.remote_host)}"
        lines = [
            ("Max-Forwards", "70"),
            ("From", f"<sip:{number}@{OUR_ADDRESS}>;tag={new_tag()}"),
            ("To", f"<sip:{number}@{OUR_ADDRESS}>"),
            ("Call-ID", new_call_id()),
            ("Contact", f"<sip:{number}@{self.host}:{self.port}>"),
        ]
        self._try_to_register(uri, 1, lines)
        challenge = self.responses("REGISTER")[0].get("WWW-Authenticate") or ""
        credentials = digest_header(challenge, "REGISTER", uri, number, f"secret{number}")
        self._try_to_register(uri, 2, [*lines, ("Authorization", credentials)])
        assert self.statuses("REGISTER") == [401, 200]

    def _try_to_register(self, uri: str, sequence: int, lines: list[tuple[str, str]]) -> None:
        self.send(Request("REGISTER", uri, [("Via", self.via()), ("CSeq", f"{sequence} REGISTER"), *lines]))
        self.world.advance(0.1)


class RelayedWire(Wire):
    """The peers of `Wire`, and a switch that can relay their audio."""

    def __init__(self, document: dict[str, object], first: int = 20_000, last: int = 29_999) -> None:
        super().__init__(document)
        self.control = PaperControl(MediaSettings(port_first=first, port_last=last), self.world.clock.monotonic)
        self.switch.relays.attach(self.control)

    def distant_phone(self, number: str, host: str, server: str) -> DistantPhone:
        """A phone of a local user that is registered at this address of the switch."""
        receivers = self.world.receivers
        receivers[server, SERVER[1]] = receivers[SERVER]
        phone = DistantPhone(self.world, host, server)
        phone.register(number)
        self.world.advance(60)
        self._deadlines = len(self.world.deadlines)
        return phone

    def used(self) -> dict[str, int]:
        """How many pairs of ports calls have on each of our addresses."""
        return {address: ports.held for address, ports in self.control._ports.items() if ports.held}

    def settle(self, seconds: float = 200.0) -> None:
        """Beside what `Wire` looks at: no session and no port is left."""
        super().settle(seconds)
        assert not self.control.sessions
        assert not any(ports.held for ports in self.control._ports.values())


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
