"""One relayed call as the engine holds it: its negotiation, its place at a worker, its figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Protocol

from app.media.configuration import inactive_configuration, session_configuration
from app.media.figures import EMPTY_ROW, MediaReport, StreamSnapshot, add_rows, make_snapshot
from app.media.messages import Address, Command, Message, StreamRow
from app.media.monitoring import Notice, Problem, StreamWatch
from app.media.negotiation import NegotiatedMedia, Negotiation, Ports, Side, SideSettings
from app.media.telephone_event import event_code


class SessionHost(Protocol):
    """What a session needs of `MediaControl`."""

    clock: Callable[[], float]

    def slot_send(self, slot: int, message: Message) -> None: ...

    def release(
        self, session: MediaSession, done: Callable[[tuple[StreamRow, StreamRow] | None], None] | None
    ) -> None: ...

    def take_ports(self, slot: int, addresses: Iterable[str]) -> dict[str, int]: ...

    def give_back(self, slot: int, ends: Iterable[Address]) -> None: ...


class MediaSession:
    """The relayed audio of one call. Made by `MediaControl.open`, ended by `close`."""

    def __init__(
        self,
        host: SessionHost,
        call_id: str,
        settings: tuple[SideSettings, SideSettings],
        ports: tuple[Ports, Ports],
        slot: int,
        session_id: int,
    ) -> None:
        self.call_id = call_id
        self.number = 0
        """Its number at the worker."""
        self.slot = slot
        self.learned: dict[tuple[int, bool], Address] = {}
        """By (side, is RTCP): where its packets come from; nobody else is heard."""
        self._heard_from: dict[Side, Address] = {}
        """Where the audio of a side came from last."""
        self.closed = False
        self._host = host
        self._negotiation = Negotiation(settings[0], settings[1], ports, session_id)
        self._session_id = session_id
        self._watch = StreamWatch()
        self._established = False
        self._opened_at = host.clock()
        self._earlier = [EMPTY_ROW, EMPTY_ROW]
        """What earlier workers counted."""
        self._rows = [EMPTY_ROW, EMPTY_ROW]
        self._packet_at = [-1.0, -1.0]
        """When each side's newest packet came, monotonic; negative: never."""
        self._control_at = [-1.0, -1.0]
        self._codecs: list[dict[int, tuple[str, str]]] = [{}, {}]
        """Per sending side by payload type: how the codec is written, its canonical name."""
        self.snapshots: tuple[StreamSnapshot, StreamSnapshot] | None = None
        """The newest figures, indexed by `Side`; None before the first."""
        self._gathered: float | None = None
        """When they were gathered, by the worker's clock."""

    # --- negotiation ------------------------------------------------------------------------------------------------

    @property
    def media(self) -> NegotiatedMedia | None:
        """What is agreed now; None before the first answer."""
        return self._negotiation.media

    @property
    def pending(self) -> Side | None:
        """The side whose offer is not answered yet."""
        return self._negotiation.pending

    def settings(self, side: Side) -> SideSettings:
        return self._negotiation.settings(side)

    def port(self, side: Side) -> int:
        """Our RTP port towards a side."""
        return self._negotiation.port(side)

    @property
    def ends(self) -> tuple[Address, ...]:
        """All our addresses and RTP ports of this call."""
        return tuple(end for side in Side for end in self._negotiation.ends(side))

    def offer(self, from_side: Side, sdp: bytes, sip_source: str | None = None) -> bytes:
        """Take an offer of one side (INVITE, re-INVITE, UPDATE, late offer in a 200); returns the one for the other.

        `sip_source`: where this message came from, if not as in the side's settings. Raises `SdpError` 400 or 488 and
        `OfferPending` 491 (both `RemoteError`), after which nothing has changed.
        """
        return self._negotiation.offer(from_side, sdp, sip_source)

    def answer(self, from_side: Side, sdp: bytes, branch: str = "", sip_source: str | None = None) -> bytes:
        """Take an answer (18x, 200, PRACK, ACK); returns the one for the side that offered. From now on audio flows.

        `branch`: the early dialog that answers, its To tag. Each may answer; the one that did so last has the audio,
        so hand in the answer of the 200 (or repeat it) at the end. Raises `SdpError`, after which nothing has changed.
        """
        before = self._negotiation.media
        sent = self._negotiation.answer(from_side, sdp, branch, sip_source)
        media = self._negotiation.media
        if media is not None and media != before:
            self._configure(media, unlock=before is not None)
        return sent

    def rollback(self) -> None:
        """The pending offer was refused by the other side: everything stays as it was."""
        self._negotiation.rollback()

    def redirect(self, side: Side, *places: SideSettings) -> bytes | None:
        """Another peer takes this side's place: the next target of the call, which may be at any of these places.

        Returns the other side's offer anew for the first of them, None where there is none (late offer). Raises
        `SdpError` 488 where no codec is left for it, `PortsExhausted` where an address has no port: then nothing has
        changed.
        """
        negotiation = self._negotiation
        known = dict(negotiation.ends(side))
        wanted = dict.fromkeys(place.local_address for place in places)
        ports = self._host.take_ports(self.slot, [address for address in wanted if address not in known])
        ports |= {address: known.pop(address) for address in wanted if address in known}
        self._session_id += 4
        try:
            return negotiation.redirect(side, places[0], ports, self._session_id)
        finally:
            self._moved(side)
            self._host.give_back(self.slot, known.items())
            self._send((int(Command.CONFIGURE), self.number, inactive_configuration().to_tuple()))

    def offer_at(self, side: Side, place: SideSettings) -> bytes:
        """The offer that a side was sent last, as another place of it gets it: with our address and port there.

        Each place of a side names one of the local addresses that the session was opened or redirected with.
        """
        return self._negotiation.offer_at(side, place)

    def reached_at(self, side: Side, place: SideSettings) -> None:
        """A side of which several places were asked is at this one: what comes from there is heard from now on."""
        if self._negotiation.reached_at(side, place):
            self._moved(side)

    def _moved(self, side: Side) -> None:
        """The worker is told where a side is, and what was known of who is there is forgotten."""
        self.learned = {key: address for key, address in self.learned.items() if key[0] != side}
        self._heard_from.pop(side, None)
        self._send((int(Command.PLACE), self.number, int(side), self._negotiation.ends(side)))

    def silent_for(self, side: Side) -> float:
        """Seconds since a side's newest packet, as far as the worker has told; infinite where none ever came."""
        newest = self._packet_at[side]
        return self._host.clock() - newest if newest >= 0 else math.inf

    @property
    def problems(self) -> tuple[Problem, Problem]:
        """What is wrong with the stream of each side, indexed by `Side`."""
        caller, called = self._watch.problems
        return caller, called

    def established(self) -> None:
        """The call is answered: from now on missing audio is noticed; the places that did not answer are given up."""
        self._established = True
        self._watch.expect(self.media, self._host.clock())
        for side in Side:
            here, *others = self._negotiation.ends(side)
            if others:
                self._negotiation.settle(side)
                self._send((int(Command.PLACE), self.number, int(side), (here,)))
                self._host.give_back(self.slot, others)

    def _configure(self, media: NegotiatedMedia, unlock: bool) -> None:
        if unlock:
            self.learned.clear()
        self._codecs = [
            {rule.incoming: (rule.name, rule.name) for rule in rules if not rule.is_event} for rules in media.rules
        ]
        configuration = session_configuration(media, (self.settings(Side.CALLER), self.settings(Side.CALLED)), unlock)
        self._send((int(Command.CONFIGURE), self.number, configuration.to_tuple()))
        if self._established:
            self._watch.expect(media, self._host.clock())

    def learn(self, side: Side, is_rtcp: bool, address: Address) -> None:
        """The worker has found out where a side's packets come from."""
        self.learned[side, is_rtcp] = address
        if not is_rtcp:
            self._heard_from[side] = address

    def learn_again(self, side: Side) -> None:
        """A side fell silent: it may go on from another port, as one does whose address translator has forgotten it.

        Its packets are then accepted from whoever would have been the side at the beginning of the call, and from the
        address that is known; the other side stays locked.
        """
        media = self.media
        if media is None or not media.active:
            return
        self.learned = {key: address for key, address in self.learned.items() if key[0] != side}
        settings = (self.settings(Side.CALLER), self.settings(Side.CALLED))
        configuration = session_configuration(media, settings, True, self.learned)
        self._send((int(Command.CONFIGURE), self.number, configuration.to_tuple()))

    # --- digits -----------------------------------------------------------------------------------------------------

    def can_send_dtmf(self, to_side: Side) -> bool:
        """Whether a side takes telephone-event."""
        media = self.media
        return media is not None and media.active and media.events[to_side] is not None

    def send_dtmf(self, to_side: Side, digit: str, milliseconds: int = 160) -> bool:
        """Put a digit (0-9, *, #, A-D) into the stream that a side gets, as telephone-event (RFC 4733).

        Digits that are sent one after the other are played one after the other. Returns False where the side takes no
        telephone-event, or it is no digit: send it by INFO.
        """
        code = event_code(digit)
        if code is None or self.closed or not self.can_send_dtmf(to_side):
            return False
        self._send((int(Command.DIGIT), self.number, int(to_side), code, milliseconds))
        return True

    # --- end --------------------------------------------------------------------------------------------------------

    def close(self, on_report: Callable[[MediaReport], None] | None = None) -> MediaReport:
        """End the relay and give the ports back. Closing twice does nothing more.

        Returns the figures as of the last second; `on_report`, if given, gets the exact ones as soon as the worker has
        told them (milliseconds later; at once with the known ones if it is gone).
        """
        report = self.report()
        if self.closed:
            return report
        self.closed = True

        def done(rows: tuple[StreamRow, StreamRow] | None) -> None:
            if rows is not None:
                self.take_rows(*rows, self._host.clock())
            if on_report is not None:
                on_report(self.report())

        self._host.release(self, done)
        return report

    def report(self) -> MediaReport:
        """The figures so far."""
        snapshots = self.snapshots
        if snapshots is None:
            now = self._host.clock()
            snapshots = (self._snapshot(Side.CALLER, now), self._snapshot(Side.CALLED, now))
        return MediaReport(self.call_id, snapshots[0], snapshots[1])

    # --- for MediaControl -------------------------------------------------------------------------------------------

    def _send(self, message: Message) -> None:
        self._host.slot_send(self.slot, message)

    def open_command(self) -> Message:
        """What opens the session at a worker."""
        return (int(Command.OPEN), self.number, *(self._negotiation.ends(side) for side in Side))

    def configure_command(self) -> Message | None:
        """What sets it up again at another worker, with the addresses that were learned; None before an answer."""
        if self.media is None:
            return None
        settings = (self.settings(Side.CALLER), self.settings(Side.CALLED))
        configuration = session_configuration(self.media, settings, False, self.learned)
        return (int(Command.CONFIGURE), self.number, configuration.to_tuple())

    def worker_lost(self) -> None:
        """The worker with the live counters is gone, or lost them: go on from what it told last."""
        self._earlier = list(self._rows)

    def take_rows(
        self, caller: StreamRow, called: StreamRow, now: float, gathered: float | None = None
    ) -> tuple[StreamSnapshot, StreamSnapshot]:
        """New figures from the worker, which gathered them at this second of its own clock."""
        for side, row in enumerate((caller, called)):
            total = add_rows(self._earlier[side], row)
            if total.packets != self._rows[side].packets:
                self._packet_at[side] = now - max(row.age, 0.0)
            if total.control_packets != self._rows[side].control_packets:
                self._control_at[side] = now - max(row.control_age, 0.0)
            self._rows[side] = total
        # Not by the time of their arrival here: a window that is busy would make bursts of an even stream.
        passed = None
        if gathered is not None and self._gathered is not None:
            passed = gathered - self._gathered
        self._gathered = gathered
        self.snapshots = (self._snapshot(Side.CALLER, now, passed), self._snapshot(Side.CALLED, now, passed))
        return self.snapshots

    def _snapshot(self, side: Side, now: float, passed: float | None = None) -> StreamSnapshot:
        row = self._rows[side]
        media = self.media
        codec = codec_name = ""
        if media is not None:
            codec, codec_name = media.codec, media.codec_name
            known = self._codecs[side].get(row.payload_type)
            if known is not None and known[1] != codec_name:
                codec, codec_name = known
        before = self.snapshots[side] if self.snapshots is not None else None
        return make_snapshot(
            self.call_id,
            side,
            row,
            self._rows[side.other],
            before,
            now,
            codec,
            codec_name,
            self._heard_from.get(side),
            self._watch.problems[side],
            self._packet_at[side],
            self._control_at[side],
            passed,
        )

    def check(self, now: float, silence_after: float) -> list[Notice]:
        """What has become wrong or right with the streams."""
        return self._watch.check((self._packet_at[0], self._packet_at[1]), now, silence_after)

    def is_dead(self, now: float, dead_after: float) -> bool:
        """Whether nothing came from either side for so long; True once."""
        return self._watch.is_dead(max(*self._packet_at, *self._control_at), now, dead_after)
