"""Phones made of two sockets, and a media control with everything that it called back written down."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import socket
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from app.media.control import (
    MediaCallbacks,
    MediaControl,
    MediaSession,
    MediaSettings,
    ReceivedDigit,
    Side,
    SideSettings,
    StreamSnapshot,
    WorkerFailure,
)
from app.media.rtp import build_rtp, parse_rtp

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T], seconds: float = 40) -> T:
    """Run a coroutine to its end on a new loop; longer fails."""

    async def limited() -> T:
        async with asyncio.timeout(seconds):
            return await main

    return asyncio.run(limited())


def ipv6_works() -> bool:
    """Whether this machine has IPv6 at all: its own address ::1."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::1", 0))
        return True
    return False


class Phone:
    """One end of a call: RTP at an even port and RTCP above it, and whatever comes to them."""

    opened: ClassVar[list[Phone]] = []
    """All phones of the test, closed at its end whatever happens."""

    def __init__(self, address: str, ssrc: int = 0) -> None:
        self.opened.append(self)
        self.address = address
        self.ssrc = ssrc or secrets.randbits(31)
        while True:
            self.rtp = self._bound(0)
            self.port = self.rtp.getsockname()[1]
            with contextlib.suppress(OSError):
                self.rtcp = self._bound(self.port + 1)
                break
            self.rtp.close()
        self.sequence = 65_500  # over the wrap soon
        self.timestamp = 4_294_960_000
        self.received: list[bytes] = []
        self.sources: set[tuple[str, int]] = set()
        self.received_rtcp: list[bytes] = []

    def _bound(self, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_DGRAM)
        try:
            bound.setblocking(False)
            bound.bind((self.address, port))
        except BaseException:
            bound.close()
            raise
        return bound

    def take(self, port: int) -> Phone:
        """Have this port for RTP, as another program might: the relay cannot have it then."""
        self.rtp.close()
        self.rtp = self._bound(port)
        return self

    def move(self) -> None:
        """Go on from another port."""
        fresh = Phone(self.address, self.ssrc)
        self.close()
        self.rtp, self.rtcp, self.port = fresh.rtp, fresh.rtcp, fresh.port

    def sdp(self, formats: str = "0 101", extra: str = "", host: str = "", port: int | None = None) -> bytes:
        """What the phone offers or answers."""
        shown = host or self.address
        family = "IP6" if ":" in shown else "IP4"
        maps = {"0": "PCMU/8000", "8": "PCMA/8000", "96": "telephone-event/8000", "101": "telephone-event/8000"}
        lines = [
            "v=0",
            f"o=- 1 1 IN {family} {shown}",
            "s=-",
            f"c=IN {family} {shown}",
            "t=0 0",
            f"m=audio {self.port if port is None else port} RTP/AVP {formats}",
            *(f"a=rtpmap:{number} {maps[number]}" for number in formats.split()),
            *(line for line in extra.split("\n") if line),
        ]
        return "".join(f"{line}\r\n" for line in lines).encode()

    def packet(self, payload_type: int = 0, payload: bytes = b"", marker: bool = False) -> bytes:
        """The next RTP packet."""
        data = build_rtp(
            payload_type, self.sequence, self.timestamp, self.ssrc, payload or self.address.encode().ljust(160), marker
        )
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + 160) & 0xFFFFFFFF
        return data

    def say(self, target: tuple[str, int], count: int = 1, **options: Any) -> list[bytes]:
        """Send packets."""
        packets = [self.packet(**options) for _ in range(count)]
        for data in packets:
            self.rtp.sendto(data, target)
        return packets

    def hear(self) -> list[bytes]:
        """What has come since the last call."""
        fresh: list[bytes] = []
        for bound, kept in ((self.rtp, self.received), (self.rtcp, self.received_rtcp)):
            while True:
                try:
                    data, source = bound.recvfrom(4096)
                except (BlockingIOError, ConnectionError):
                    break
                kept.append(data)
                self.sources.add(source[:2])
                if kept is self.received:
                    fresh.append(data)
        return fresh

    def sequences(self) -> list[int]:
        """The sequence numbers of all that came."""
        self.hear()
        return [parse_rtp(data).sequence_number for data in self.received]

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


AUDIO_PORT = 4000
"""What the descriptions of `support.udp_peers` name."""


class Voice:
    """One side's audio, in a thread: fifty packets a second, and everything that comes is kept."""

    def __init__(self, address: str) -> None:
        self._phone = Phone(address)
        self._phone.rtp.close()
        self._phone.rtcp.close()
        self._phone.rtp, self._phone.rtcp = self._phone._bound(AUDIO_PORT), self._phone._bound(AUDIO_PORT + 1)
        self.ssrc = self._phone.ssrc
        self.target: tuple[str, int] | None = None
        self._open = True
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._thread.start()

    @property
    def heard(self) -> list[bytes]:
        return self._phone.received

    def heard_from(self, other: Voice) -> int:
        """How many packets of another one came here."""
        return sum(parse_rtp(data).ssrc == other.ssrc for data in list(self.heard))

    def _talk(self) -> None:
        while self._open:
            if self.target is not None:
                with contextlib.suppress(OSError):
                    self._phone.say(self.target, payload_type=8)
            self._phone.hear()
            time.sleep(0.02)

    def close(self) -> None:
        self._open = False
        self._thread.join(5)
        self._phone.close()


@contextmanager
def voices(*addresses: str) -> Iterator[tuple[Voice, ...]]:
    """The audio of several peers at these addresses."""
    with ExitStack() as stack:
        opened = []
        for address in addresses:
            opened.append(Voice(address))
            stack.callback(opened[-1].close)
        yield tuple(opened)


@dataclass
class Heard:
    """What a media control called back."""

    statistics: list[StreamSnapshot] = field(default_factory=list)
    one_way: list[tuple[str, Side]] = field(default_factory=list)
    silence: list[tuple[str, Side]] = field(default_factory=list)
    audio: list[tuple[str, Side]] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    digits: list[ReceivedDigit] = field(default_factory=list)
    failures: list[WorkerFailure] = field(default_factory=list)
    restored: list[Any] = field(default_factory=list)

    def callbacks(self) -> MediaCallbacks:
        return MediaCallbacks(
            on_statistics=self.statistics.extend,
            on_one_way=lambda session, side: self.one_way.append((session.call_id, side)),
            on_silence=lambda session, side: self.silence.append((session.call_id, side)),
            on_audio=lambda session, side: self.audio.append((session.call_id, side)),
            on_dead=lambda session: self.dead.append(session.call_id),
            on_dtmf=lambda session, digit: self.digits.append(digit),
            on_worker_failed=self.failures.append,
            on_worker_restored=self.restored.append,
        )


class MovableClock:
    """The monotonic clock, which a test can put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@asynccontextmanager
async def media(
    address: str, *, processes: int = 1, first: int = 30_000, last: int = 30_199, **options: Any
) -> AsyncIterator[tuple[MediaControl, Heard, MovableClock]]:
    """A running media control on one address; everything is stopped at the end."""
    heard, clock = Heard(), MovableClock()
    settings = MediaSettings(
        port_first=first,
        port_last=last,
        processes=processes,
        spare_worker=options.pop("spare_worker", False),
        **options,
    )
    control = MediaControl(settings, heard.callbacks(), clock)
    await control.start()
    try:
        yield control, heard, clock
    finally:
        await control.stop()
        while Phone.opened:
            Phone.opened.pop().close()
        assert not control.sessions


class Call:
    """Two phones and the session between them."""

    def __init__(
        self,
        control: MediaControl,
        relay: str,
        caller: Phone,
        called: Phone,
        caller_settings: SideSettings | None = None,
        called_settings: SideSettings | None = None,
        call_id: str = "call",
    ) -> None:
        self.caller, self.called = caller, called
        self.relay = relay
        self.session: MediaSession = control.open(
            call_id, caller_settings or SideSettings(relay), called_settings or SideSettings(relay)
        )

    def negotiate(self, offer: bytes = b"", answer: bytes = b"") -> Call:
        """Offer from the caller, answer from the called side."""
        offered = self.session.offer(Side.CALLER, offer or self.caller.sdp())
        answered = self.session.answer(Side.CALLED, answer or self.called.sdp())
        assert port_of(offered) == self.session.port(Side.CALLED)
        assert port_of(answered) == self.session.port(Side.CALLER)
        return self

    @property
    def caller_target(self) -> tuple[str, int]:
        """Where the caller sends to."""
        return (self.session.settings(Side.CALLER).local_address, self.session.port(Side.CALLER))

    @property
    def called_target(self) -> tuple[str, int]:
        return (self.session.settings(Side.CALLED).local_address, self.session.port(Side.CALLED))

    async def talk(self, count: int = 5, pause: float = 0.01) -> None:
        """Both say some packets; afterwards both have heard something."""
        for _ in range(count):
            self.caller.say(self.caller_target)
            self.called.say(self.called_target)
            await asyncio.sleep(pause)
            self.caller.hear()
            self.called.hear()

    async def connect(self) -> Call:
        """Talk until both hear each other."""
        deadline = time.monotonic() + 10
        while not (self.caller.received and self.called.received):
            assert time.monotonic() < deadline, "the two never heard each other"
            await self.talk(1)
        return self

    def close(self) -> None:
        self.session.close()
        self.caller.close()
        self.called.close()


def port_of(description: bytes) -> int:
    """The audio port of a session description."""
    found = re.search(rb"m=audio (\d+)", description)
    assert found is not None
    return int(found[1])
