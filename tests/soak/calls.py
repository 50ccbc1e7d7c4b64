"""The mix of calls that a soak makes, and what each of them must come to."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from soak.audio import Audio, Stream
from soak.peers import PORTS, Message, NoResponse, Side, Station
from support.certificates import Authority
from support.sip_text import digest_header

CALLER, CARRIER, SPARE, RELAYED, STREAM, DEAD, STRANGER, FIRST_PHONE = 20, 10, 11, 12, 13, 14, 66, 100
SECURE_CALLER, SECURE = 21, 15
"""Last bytes of the addresses."""
PHONES, RESTLESS_PHONES, TCP_PHONES, TLS_PHONES = 100, 10, 10, 5
"""All of them; the last ones register by TLS, those before them by TCP; those before these unregister and come back."""
UDP_PHONES = PHONES - TCP_PHONES - TLS_PHONES
EXPIRES = 60
"""Seconds of a registration; phones refresh after half of it."""
LONG_TALK = (100.0, 200.0)
"""Seconds of the rare long calls: longer than the session interval of the server."""
SESSION_EXPIRES = 90


def sdp(address: str, port: int) -> str:
    """A session description with audio at this address."""
    return (
        f"v=0\r\no=- {secrets.randbits(31)} 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
        "a=fmtp:101 0-15\r\na=sendrecv\r\n"
    )


def document(address: Callable[[int], str], authority: Authority) -> dict[str, object]:
    """The configuration: two callers' trunks, six carriers' and the phones; this authority vouches for the server."""
    free = {"max_outgoing_calls": 100_000, "max_incoming_calls": 100_000}
    tls = {"transport": "tls", "server_port": PORTS["TLS"], "tls_verify": True}
    trunks = [
        {"id": 1, "description": "Carrier", "server_address": address(CARRIER)},
        {"id": 2, "description": "Caller", "server_address": address(CALLER)},
        {"id": 3, "description": "Relayed", "server_address": address(RELAYED), "relay_media": "yes"},
        {"id": 4, "description": "By TCP", "server_address": address(STREAM), "transport": "tcp"},
        {"id": 5, "description": "Busy first", "server_address": address(SPARE), "next_trunk_id": 1},
        {"id": 6, "description": "Dead", "server_address": address(DEAD), "next_trunk_id": 1},
        {"id": 7, "description": "By TLS", "server_address": address(SECURE), **tls},
        {"id": 8, "description": "Caller by TLS", "server_address": address(SECURE_CALLER), **tls},
    ]
    for trunk in trunks:
        # The peers share their machine with others and may stand still for a while; the dead one is given up soon.
        patience = 1 if trunk["description"] == "Dead" else 20
        trunk.update(free, first_response_timeout=patience, no_answer_timeout=8)
    routes = {"13": 1, "14": 4, "15": 3, "16": 6, "17": 5, "18": 7}
    return {
        "system": {
            "session_expires": SESSION_EXPIRES,
            "outgroup_prefix": "",
            "sip_tls_port": PORTS["TLS"],
            **authority.system_fields(address(1)),
        },
        "sip_trunks": trunks,
        "analyze_called_numbers": [
            {"prefix": prefix, "route_type": "sip_trunk", "target_id": id_} for prefix, id_ in routes.items()
        ],
        "number_lists": [{"called_prefix": "1399"}],
        "local_users": [
            {"number": number, "password": f"secret-of-{number}"} for number in (str(1000 + n) for n in range(PHONES))
        ],
    }


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of call."""

    name: str
    weight: int
    final: tuple[int, ...]
    """What the caller's INVITE may end with."""
    run: Callable[[Office], Awaitable[int]]


@dataclass(slots=True)
class Plan:
    """What the called side of one number does."""

    ring: float = 0.1
    status: int = 200
    """0: ring for ever."""
    talk: float = -1.0
    """Seconds until the called side hangs up; -1: the caller does."""


@dataclass(slots=True)
class Tally:
    """What became of the calls."""

    begun: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    by_status: Counter[int] = field(default_factory=Counter)
    registrations: int = 0
    strangers: int = 0
    overloaded: int = 0
    """Requests that were refused because the machine had stood still."""
    troubles: list[str] = field(default_factory=list)


class Overloaded(Exception):
    """The server refused before it looked: it had been held up. No call, and no record."""


class Office:
    """All peers of one server, and the calls between them."""

    def __init__(
        self, address: Callable[[int], str], authority: Authority, seed: int, talk: tuple[float, float]
    ) -> None:
        self.address = address
        self._authority = authority
        self.server = (address(1), 5060)
        self.tally = Tally()
        self.audio = Audio()
        self.closing = asyncio.Event()
        """Set when the calls in progress are to end now."""
        self._began = time.monotonic()
        self._chance = random.Random(seed)
        self._talk = talk
        self._plans: dict[str, Plan] = {}
        self._serial = 0
        self._calls: set[asyncio.Task[None]] = set()
        self._others: list[asyncio.Task[None]] = []
        self.caller = self._station(CALLER, "caller")
        self.secure_caller = self._station(SECURE_CALLER, "caller", "TLS")
        self._stations = [self.caller]
        self._phones: list[Station] = []
        self._stranger = self._station(STRANGER, "stranger")
        self._deaf = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        """A peer that takes every message and never answers one."""

    def _station(self, place: int, user: str, transport: str = "UDP") -> Station:
        authority = self._authority if transport == "TLS" else None
        station = Station(self.address(place), self.server[0], user, transport, authority)
        station.on_trouble = self.trouble
        return station

    def trouble(self, text: str) -> None:
        """Something went otherwise than it must."""
        seconds = time.monotonic() - self._began
        if len(self.tally.troubles) < 20:
            print(f"trouble after {seconds:.0f} s: {text}", flush=True)
        if len(self.tally.troubles) < 1000:
            self.tally.troubles.append(f"{seconds:.0f} s: {text}")

    @property
    def repeats(self) -> int:
        """Messages that had to be sent again."""
        return sum(station.repeats for station in (*self._stations, *self._phones))

    @property
    def running(self) -> int:
        """Calls in progress."""
        return len(self._calls)

    # --- life --------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Have every peer there and every phone registered."""
        self.audio.start()
        self._deaf.bind((self.address(DEAD), 5060))
        for place, user, transport in (
            (CARRIER, "carrier", "UDP"),
            (SPARE, "spare", "UDP"),
            (RELAYED, "relayed", "UDP"),
            (STREAM, "stream", "TCP"),
            (SECURE, "secure", "TLS"),
        ):
            station = self._station(place, user, transport)
            station.on_call = self._refuse_at_once if place == SPARE else self._carry
            self._stations.append(station)
        for station in (*self._stations, self._stranger):
            await station.open()
        self._stations.append(self.secure_caller)
        await self.secure_caller.connect()
        for index in range(PHONES):
            number = str(1000 + index)
            transport = "UDP" if index < UDP_PHONES else "TCP" if index < UDP_PHONES + TCP_PHONES else "TLS"
            phone = self._station(FIRST_PHONE + index, number, transport)
            phone.on_call = self._pick_up
            self._phones.append(phone)
            if phone.transport == "UDP":
                await phone.open()
            await self._register(phone)
            self._others.append(asyncio.get_running_loop().create_task(self._stay_registered(phone, index)))
        self._others.append(asyncio.get_running_loop().create_task(self._strangers()))

    async def close(self) -> None:
        """Let every peer go."""
        self.audio.stop()
        for task in self._others:
            task.cancel()
        for station in (*self._stations, *self._phones, self._stranger):
            station.disconnect()
        self._deaf.close()
        await asyncio.sleep(0.1)

    # --- phones ------------------------------------------------------------------------------------------------------

    async def _register(self, phone: Station, expires: int = EXPIRES) -> None:
        """REGISTER with the challenge that it brings."""
        if phone.link is None:
            await phone.connect()
        assert phone.link is not None
        side = Side(phone, f"{secrets.token_hex(8)}@{phone.address}", phone.link)
        uri = f"sip:{self.server[0]}"
        side.local = f"<sip:{phone.user}@{self.server[0]}>;tag={side.tag}"
        side.remote = f"<sip:{phone.user}@{self.server[0]}>"
        try:
            answer = await side.request("REGISTER", uri, [f"Expires: {expires}"])
            if answer.status == 401:
                value = digest_header(
                    answer.header("www-authenticate"), "REGISTER", uri, phone.user, f"secret-of-{phone.user}"
                )
                answer = await side.request("REGISTER", uri, [f"Expires: {expires}", f"Authorization: {value}"])
            if answer.status == 503 and answer.header("retry-after"):
                self.tally.overloaded += 1
                await asyncio.sleep(float(answer.header("retry-after")))
                await self._register(phone, expires)
                return
            if answer.status != 200:
                self.trouble(f"the registration of {phone.user} got {answer.status}")
            self.tally.registrations += 1
        except NoResponse as error:
            self.trouble(f"no response to {error}")
        finally:
            side.close()

    async def _stay_registered(self, phone: Station, index: int) -> None:
        """Refresh; some leave and come back, those by TCP and TLS by another connection."""
        restless = UDP_PHONES - RESTLESS_PHONES <= index < UDP_PHONES
        await asyncio.sleep(EXPIRES / 2 * index / PHONES)
        while True:
            if restless:
                await self._register(phone, 0)
                await asyncio.sleep(1.0)
            elif phone.transport != "UDP" and not phone.sides:
                await phone.connect()
            await self._register(phone)
            await asyncio.sleep(EXPIRES / 2)

    async def _pick_up(self, side: Side, invite: Message) -> None:
        """A called phone: those whose number ends with 9 are busy."""
        if side.station.user.endswith("9"):
            side.reply(invite, 486)
            side.close()
            return
        await self._answer(side, invite, Plan())

    def _phone(self) -> Station:
        """A phone that stays and is not busy, reachable by UDP."""
        while True:
            index = self._chance.randrange(UDP_PHONES - RESTLESS_PHONES)
            if index % 10 != 9:
                return self._phones[index]

    def phone_by(self, transport: str) -> Station:
        """A phone that is connected now and is not busy, reachable by TCP or TLS."""
        phones = [phone for phone in self._phones if phone.transport == transport and phone.link is not None]
        return self._chance.choice([phone for phone in phones if not phone.user.endswith("9")])

    # --- the called side ---------------------------------------------------------------------------------------------

    async def _refuse_at_once(self, side: Side, invite: Message) -> None:
        side.reply(invite, 503)
        side.close()

    async def _carry(self, side: Side, invite: Message) -> None:
        """A carrier: the number says what it does."""
        number = invite.start.partition("sip:")[2].partition("@")[0]
        # Without a plan its caller has given up before this side had its turn.
        await self._answer(side, invite, self._plans.get(number, Plan(status=480)))

    async def _answer(self, side: Side, invite: Message, plan: Plan) -> None:
        stream: Stream | None = None
        try:
            side.reply(invite, 180)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(side.ended.wait(), 60.0 if plan.status == 0 else plan.ring)
            if side.ended.is_set():
                return
            if plan.status != 200:
                side.reply(invite, plan.status or 480)
                return
            port = 40000
            if side.station.address == self.address(RELAYED):
                stream = self.audio.add(side.station.address)
                port = stream.port
                stream.aim(invite.body)
            side.description = sdp(side.station.address, port)
            if not await side.answer(invite, side.description):
                if not side.ended.is_set():
                    self.trouble("an answer was never acknowledged")
                return
            if plan.talk >= 0:
                await self._talk_on(side, plan.talk)
                await side.hang_up()
            else:
                await asyncio.wait_for(side.ended.wait(), 1000.0)
        finally:
            if stream is not None:
                self.audio.remove(stream)
            side.close()

    async def _talk_on(self, side: Side, seconds: float) -> None:
        """Talk for so long, or until somebody ends it."""
        waits = {asyncio.ensure_future(side.ended.wait()), asyncio.ensure_future(self.closing.wait())}
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    # --- the calling side --------------------------------------------------------------------------------------------

    def number(self, prefix: str, plan: Plan) -> str:
        """A number that nobody else dials now."""
        self._serial = (self._serial + 1) % 10_000_000
        number = f"{prefix}0{self._serial:07}"
        self._plans[number] = plan
        return number

    def talk_seconds(self) -> float:
        """How long a call talks."""
        return self._chance.uniform(*(LONG_TALK if self._chance.random() < 0.005 else self._talk))

    async def call(
        self,
        station: Station,
        called: str,
        *,
        talk: float | None = None,
        give_up: float = 0.0,
        audio: bool = False,
        hold: bool = False,
    ) -> int:
        """One call; the final status of its INVITE. `talk` None: the called side hangs up."""
        assert station.link is not None
        side = Side(station, f"{secrets.token_hex(8)}@{station.address}", station.link)
        uri = f"sip:{called}@{self.server[0]}:{self.server[1]}"
        is_phone = station not in (self.caller, self.secure_caller)
        host = self.server[0] if is_phone else station.address
        side.local = f"<sip:{station.user}@{host}>;tag={side.tag}"
        side.remote = f"<{uri}>"
        stream = self.audio.add(station.address) if audio else None
        side.description = sdp(station.address, stream.port if stream is not None else 40002)
        cancelling: asyncio.Task[None] | None = None

        def ringing() -> None:
            nonlocal cancelling
            if give_up and cancelling is None:
                cancelling = asyncio.get_running_loop().create_task(self._cancel_later(side, uri, give_up))

        try:
            final = await side.request("INVITE", uri, body=side.description, ringing=ringing)
            if final.status == 401 and is_phone:
                value = digest_header(
                    final.header("www-authenticate"), "INVITE", uri, station.user, f"secret-of-{station.user}"
                )
                final = await side.request("INVITE", uri, [f"Authorization: {value}"], side.description, ringing)
            if cancelling is not None:
                await cancelling
            if final.status == 503 and final.header("retry-after"):
                raise Overloaded
            if final.status != 200:
                return final.status
            if stream is not None:
                stream.aim(final.body)
            if hold:
                await asyncio.sleep(0.5)
                for direction in ("sendonly", "sendrecv"):
                    again = await side.request("INVITE", body=side.description.replace("sendrecv", direction))
                    if again.status != 200:
                        self.trouble(f"a re-INVITE got {again.status}")
            await self._talk_on(side, 1000.0 if talk is None else talk)
            await side.hang_up()
            return final.status
        finally:
            if stream is not None:
                self.audio.remove(stream)
                if stream.sent > 50 and not stream.received:
                    self.trouble("a relayed call heard nothing")
            self._plans.pop(called, None)
            side.close()

    async def _cancel_later(self, side: Side, uri: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await side.cancel(uri)

    async def _strangers(self) -> None:
        """Somebody unknown tries every few seconds, and is turned away without becoming a call."""
        assert self._stranger.link is not None
        while True:
            side = Side(self._stranger, secrets.token_hex(12), self._stranger.link)
            side.local, side.remote = f"<sip:x@{self._stranger.address}>;tag={side.tag}", f"<sip:1350@{self.server[0]}>"
            with contextlib.suppress(NoResponse):
                answer = await side.request("INVITE", f"sip:1350@{self.server[0]}", body=sdp("127.0.0.1", 4000))
                if answer.status not in (403, 503):
                    self.trouble(f"a stranger got {answer.status}")
                self.tally.strangers += 1
            side.close()
            await asyncio.sleep(5.0)

    async def warm_up(self) -> None:
        """One call of each kind that opens something for good: a connection to a carrier, a media process's sockets."""
        for prefix in ("13", "14", "15", "18"):
            self.tally.begun += 1
            self.tally.by_kind["warm-up"] += 1
            status = await self.call(self.caller, self.number(prefix, Plan()), talk=0.2, audio=prefix == "15")
            self.tally.by_status[status] += 1

    # --- the load ----------------------------------------------------------------------------------------------------

    async def make_calls(self, rate: float, until: Callable[[], bool]) -> None:
        """Begin calls at this rate, evenly, until it is enough."""
        loop = asyncio.get_running_loop()
        weights: Sequence[int] = [kind.weight for kind in KINDS]
        due = loop.time()
        while not until():
            kind = self._chance.choices(KINDS, weights)[0]
            task = loop.create_task(self._one(kind))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)
            due += 1.0 / rate
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def finish(self, seconds: float) -> None:
        """End the calls in progress."""
        self.closing.set()
        _, left = await asyncio.wait(self._calls, timeout=seconds) if self._calls else (set(), set())
        if left:
            self.trouble(f"{len(left)} calls did not end within {seconds:g} s")

    async def _one(self, kind: Kind) -> None:
        tally = self.tally
        tally.begun += 1
        tally.by_kind[kind.name] += 1
        try:
            status = await kind.run(self)
        except Overloaded:
            tally.overloaded += 1
            tally.begun -= 1
            return
        except NoResponse as error:
            self.trouble(f"{kind.name}: no response to {error}")
            status = 0
        except Exception as error:
            self.trouble(f"{kind.name}: {error!r}")
            status = 0
        tally.by_status[status] += 1
        if status not in kind.final:
            self.trouble(f"{kind.name} ended with {status}")


async def _answered(office: Office) -> int:
    return await office.call(office.caller, office.number("13", Plan()), talk=office.talk_seconds())


async def _called_side_ends(office: Office) -> int:
    return await office.call(office.caller, office.number("13", Plan(talk=office.talk_seconds())))


async def _by_tcp(office: Office) -> int:
    return await office.call(office.caller, office.number("14", Plan()), talk=office.talk_seconds())


async def _relayed(office: Office) -> int:
    number = office.number("15", Plan())
    return await office.call(office.caller, number, talk=office.talk_seconds(), audio=True)


async def _relayed_called_side_ends(office: Office) -> int:
    return await office.call(office.caller, office.number("15", Plan(talk=office.talk_seconds())), audio=True)


async def _phone_calls_out(office: Office) -> int:
    return await office.call(office._phone(), office.number("13", Plan()), talk=office.talk_seconds())


async def _phone_is_called(office: Office) -> int:
    return await office.call(office.caller, office._phone().user, talk=office.talk_seconds())


async def _phone_by_tcp_is_called(office: Office) -> int:
    return await office.call(office.caller, office.phone_by("TCP").user, talk=office._chance.uniform(0.5, 2.0))


async def _phone_by_tls_is_called(office: Office) -> int:
    return await office.call(office.caller, office.phone_by("TLS").user, talk=office._chance.uniform(0.5, 2.0))


async def _phone_by_tls_calls_out(office: Office) -> int:
    return await office.call(office.phone_by("TLS"), office.number("13", Plan()), talk=office._chance.uniform(0.5, 2.0))


async def _by_tls(office: Office) -> int:
    return await office.call(office.caller, office.number("18", Plan()), talk=office.talk_seconds())


async def _by_tls_from_end_to_end(office: Office) -> int:
    return await office.call(office.secure_caller, office.number("18", Plan()), talk=office.talk_seconds())


async def _by_tls_and_called_side_ends(office: Office) -> int:
    return await office.call(office.secure_caller, office.number("18", Plan(talk=office.talk_seconds())))


async def _phone_calls_phone(office: Office) -> int:
    one, other = office._phone(), office._phone()
    while one is other:
        other = office._phone()
    return await office.call(one, other.user, talk=office.talk_seconds())


async def _held(office: Office) -> int:
    return await office.call(office.caller, office.number("13", Plan()), talk=office.talk_seconds(), hold=True)


async def _busy(office: Office) -> int:
    return await office.call(office.caller, office.number("13", Plan(status=486)), talk=0)


async def _busy_phone(office: Office) -> int:
    return await office.call(office.caller, "1009", talk=0)


async def _cancelled(office: Office) -> int:
    give_up = office._chance.uniform(0.1, 2.0)
    return await office.call(office.caller, office.number("13", Plan(status=0)), talk=0, give_up=give_up)


async def _unanswered(office: Office) -> int:
    return await office.call(office.caller, office.number("13", Plan(status=0)), talk=0)


async def _failed_over(office: Office) -> int:
    return await office.call(office.caller, office.number("17", Plan()), talk=office.talk_seconds())


async def _silent_first(office: Office) -> int:
    return await office.call(office.caller, office.number("16", Plan()), talk=office.talk_seconds())


async def _unknown_number(office: Office) -> int:
    return await office.call(office.caller, "777", talk=0)


async def _blocked(office: Office) -> int:
    return await office.call(office.caller, "13991", talk=0)


async def _not_registered(office: Office) -> int:
    return await office.call(office.caller, "1900", talk=0)


KINDS = (
    Kind("trunk to trunk", 28, (200,), _answered),
    Kind("called side ends", 8, (200,), _called_side_ends),
    Kind("trunk by TCP", 8, (200,), _by_tcp),
    Kind("relayed", 6, (200,), _relayed),
    Kind("relayed, called side ends", 4, (200,), _relayed_called_side_ends),
    Kind("phone calls out", 12, (200,), _phone_calls_out),
    Kind("phone is called", 8, (200,), _phone_is_called),
    Kind("trunk by TLS", 5, (200,), _by_tls),
    Kind("TLS from end to end", 3, (200,), _by_tls_from_end_to_end),
    Kind("TLS, called side ends", 2, (200,), _by_tls_and_called_side_ends),
    Kind("phone by TCP is called", 2, (200, 408, 480, 503), _phone_by_tcp_is_called),
    Kind("phone by TLS is called", 2, (200, 408, 480, 503), _phone_by_tls_is_called),
    Kind("phone by TLS calls out", 3, (200,), _phone_by_tls_calls_out),
    Kind("phone calls phone", 4, (200,), _phone_calls_phone),
    Kind("held", 2, (200,), _held),
    Kind("busy", 4, (486,), _busy),
    Kind("busy phone", 1, (486,), _busy_phone),
    Kind("cancelled", 5, (487,), _cancelled),
    Kind("unanswered", 1, (408, 480, 487), _unanswered),
    Kind("next trunk", 2, (200,), _failed_over),
    Kind("next trunk after silence", 1, (200,), _silent_first),
    Kind("unknown number", 2, (404, 480), _unknown_number),
    Kind("blocked", 1, (403, 603), _blocked),
    Kind("not registered", 1, (404, 480), _not_registered),
)
