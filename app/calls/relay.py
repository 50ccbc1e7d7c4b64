"""Relayed calls: when audio flows through this server, and what each side is told about it."""

from __future__ import annotations

import logging
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from app.calls.addresses import Addresses
from app.calls.call_words import PressedDigit
from app.calls.leg_events import Body, EndCause
from app.dialplan.request import Source, SourceKind
from app.errors import RemoteError
from app.events import Alarm, EventBus, StreamRow, StreamsChanged, TrunkMedia
from app.media.addresses import parse_address, relay_reason
from app.media.control import (
    MediaCallbacks,
    MediaControl,
    PortsExhausted,
    ReceivedDigit,
    StreamSnapshot,
    WorkerFailure,
    WorkerRestored,
)
from app.media.media_session import MediaSession
from app.media.monitoring import Problem
from app.media.negotiation import NegotiatedMedia, Side, SideSettings
from app.records import Configuration, ExternalLine, LocalUser, RelayMedia, SipTrunk
from app.records.trunks import OutgoingFields
from app.sip.uri import Uri

if TYPE_CHECKING:
    from app.calls.call import Call
    from app.calls.leg import Leg
    from app.clock import Clock
    from app.dialplan.decision import DialTarget
    from app.sip.flow import Flow

_log = logging.getLogger(__name__)


class Place(NamedTuple):
    """Where a target can be reached: one address of a server, or one phone."""

    flow: Flow
    contact: str = ""
    """The Contact of a phone's registration."""


class CallRelay:
    """The relayed audio of one call (`app.calls.call_neighbours.CallMedia`)."""

    def __init__(self, call: Call, session: MediaSession) -> None:
        self.call = call
        self.session = session
        self.places: dict[tuple[str, str], SideSettings] = {}
        """What each place that rings is told, by our address and its own; the one that answers keeps it.

        The ports of a way, or its connection, may change while it rings: they do not matter here.
        """
        self.problem = ""
        """What is wrong with the audio, in words; blank while all is well."""

    def _side(self, leg: Leg) -> Side:
        return Side.CALLER if leg is self.call.caller else Side.CALLED

    def cross(self, leg: Leg, body: Body, *, is_offer: bool) -> Body:
        """A body of this leg as the other side shall get it. RemoteError (400, 488, 491) when it cannot be used."""
        if not body.is_description:
            return body
        side = self._side(leg)
        source = leg.flow.remote_host
        if side is Side.CALLED:
            self._reached_at(leg)
        if is_offer:
            return Body(body.content_type, self.session.offer(side, body.content, source))
        tag = leg.dialog.id.remote_tag if leg.dialog is not None else ""
        return Body(body.content_type, self.session.answer(side, body.content, tag, source))

    def offer_at(self, place: SideSettings, first: Body) -> Body:
        """The offer that the first place of a target got, as another one gets it."""
        return Body(first.content_type, self.session.offer_at(Side.CALLED, place))

    def _reached_at(self, leg: Leg) -> None:
        """The called side is at this leg's place."""
        place = self.places.get(_way(leg.flow))
        if place is not None:
            self.session.reached_at(Side.CALLED, place)

    def roll_back(self) -> None:
        """The last offer was refused: the audio stays as it was (RFC 3261 14.1)."""
        self.session.rollback()

    def established(self) -> None:
        """The call is answered: missing audio is noticed from now on, and nobody else is waited for."""
        if self.call.called is not None:
            self._reached_at(self.call.called)
        self.session.established()
        words = digit_words(self.session.media)
        if words:
            self.call.trail.append(f"digits: {words}")

    def hears_called_side(self, within: float) -> bool:
        """Whether audio came from the called side within the last so many seconds."""
        return self.session.silent_for(Side.CALLED) <= within

    def press(self, to_caller: bool, pressed: PressedDigit) -> bool:
        """Put a digit that came by INFO into the audio of a side that takes telephone-event; False where none does."""
        side = Side.CALLER if to_caller else Side.CALLED
        return self.session.send_dtmf(side, *pressed)

    def report(self) -> tuple[dict[str, object], ...]:
        """What the call record keeps of the streams."""
        report = self.session.report()
        return (report.caller.to_record(), report.called.to_record())

    def close(self, done: Callable[[], None]) -> None:
        """End the relay; `done()` is called when the last figures are in."""
        self.session.close(lambda _report: done())


class Relays:
    """Opens relays for calls whose records want one, and hands on what the media layer reports."""

    def __init__(self, control: MediaControl | None, addresses: Addresses, events: EventBus, clock: Clock) -> None:
        self._addresses = addresses
        self._events = events
        self._clock = clock
        self._local_networks: tuple[str, ...] = ()
        self._configuration = Configuration()
        self._relays: dict[str, CallRelay] = {}
        self._snapshots: dict[str, tuple[StreamSnapshot, ...]] = {}
        self._control: MediaControl | None = None
        self.attach(control)

    def attach(self, control: MediaControl | None) -> None:
        """Use this media control from now on."""
        self._control = control
        if control is not None:
            control.callbacks = MediaCallbacks(
                on_statistics=self._on_statistics,
                on_one_way=self._on_audio,
                on_silence=self._on_audio,
                on_audio=self._on_audio,
                on_dead=self._on_dead,
                on_dtmf=self._on_digit,
                on_worker_failed=self._on_worker_failed,
                on_worker_restored=self._on_worker_restored,
            )

    def configure(self, configuration: Configuration) -> None:
        """Take a changed configuration."""
        self._configuration = configuration
        self._local_networks = configuration.system.local_networks

    # --- opening ------------------------------------------------------------------------------------------------------

    def offers_for(self, call: Call, target: DialTarget, places: Sequence[Place]) -> list[Body | None] | str:
        """The offer that each place of a target gets: the caller's, or through a relay where one is wanted.

        In words why there can be none (no port is left). RemoteError (400, 488) when the caller's offer cannot be used.
        """
        offer = call.caller.offer_body
        relay = self._relays.get(call.id)
        if not self._wanted(call, target, places):
            if relay is not None:
                self._drop(call, relay)
            return [offer] * len(places)
        control = self._control
        if control is None:
            return "audio cannot be relayed: no media process runs"
        caller = self._side(call.caller.flow, self._record_of(call.party_in.source))
        sides = [self._side(place.flow, target.record) for place in places]
        try:
            if relay is None:
                session = control.open(call.id, caller, *sides)
                relay = self._relays[call.id] = CallRelay(call, session)
                call.media = relay
                crossed = None
            else:
                crossed = relay.session.redirect(Side.CALLED, *sides)
        except PortsExhausted as error:
            return f"audio cannot be relayed: {error.detail}"
        relay.places = {_way(place.flow): side for place, side in zip(places, sides, strict=True)}
        if offer is None:
            return [None] * len(places)
        if crossed is None:
            first = relay.cross(call.caller, offer, is_offer=True)
        else:
            first = Body(offer.content_type, crossed)
        if not offer.is_description:
            return [first] * len(places)
        return [first, *(relay.offer_at(side, first) for side in sides[1:])]

    def _wanted(self, call: Call, target: DialTarget, places: Sequence[Place]) -> bool:
        """Whether the audio of a call to this target flows through here: one side's record is enough."""
        source = self._record_of(call.party_in.source)
        wishes = {target.record.relay_media, source.relay_media if source is not None else RelayMedia.NO}
        if RelayMedia.YES in wishes:
            return True
        reason = self._why_relayed(call, places)
        if reason is None:
            return False
        wanted = RelayMedia.AUTO in wishes
        what = "is relayed" if wanted else "is not relayed, and may not arrive"
        call.trail.append(f"relay: audio {what}: {reason}")
        return wanted

    def _why_relayed(self, call: Call, places: Sequence[Place]) -> str | None:
        """Why the audio between the caller and one of these places can hardly flow without us."""
        caller = call.caller.flow.remote_host
        offer = call.caller.offer_body
        signalled = connection_address(offer.content) if offer is not None and offer.is_description else ""
        for flow, contact in places:
            # A phone will most likely name the address for its audio that it named for its calls.
            expected = (_host_of(contact) if contact else "") or flow.remote_host
            reason = relay_reason(signalled or caller, caller, expected, flow.remote_host, self._local_networks)
            if reason is not None:
                return reason
        return None

    def take_in(self, call: Call, newcomer: Leg) -> None:
        """Another party has come to a side of a call that is answered: its audio is relayed where one of both wants it.

        RemoteError (488, 503) when it cannot be; then the call has the relay that it had, which serves nobody.
        """
        try:
            self._take_in(call, newcomer)
        except PortsExhausted as error:
            raise RemoteError(503, "", f"audio cannot be relayed: {error.detail}") from error

    def _take_in(self, call: Call, newcomer: Leg) -> None:
        other = call.other(newcomer)
        if other is None:
            return
        relay = self._relays.get(call.id)
        records = {leg: self._record_of(call.party(leg).source) for leg in (newcomer, other)}
        here = self._side(newcomer.flow, records[newcomer])
        if relay is not None:
            side = Side.CALLER if newcomer is call.caller else Side.CALLED
            relay.session.redirect(side, here)
            if side is Side.CALLED:
                relay.places = {_way(newcomer.flow): here}
            return
        wishes = {record.relay_media for record in records.values() if record is not None}
        if RelayMedia.YES not in wishes and not (
            RelayMedia.AUTO in wishes and relay_reason(*_signalled(other), *_signalled(newcomer), self._local_networks)
        ):
            return
        if self._control is None:
            raise RemoteError(503, "", "audio cannot be relayed: no media process runs")
        sides = [here, self._side(other.flow, records[other])]
        session = self._control.open(call.id, *(sides if newcomer is call.caller else sides[::-1]))
        call.media = self._relays[call.id] = CallRelay(call, session)

    def take_back(self, call: Call, leg: Leg, had_relay: bool) -> None:
        """The newcomer has not come after all, and this leg is in its old place again."""
        relay = self._relays.get(call.id)
        if relay is not None and had_relay:
            self.take_in(call, leg)
        elif relay is not None:
            self._drop(call, relay)

    def _record_of(self, source: Source) -> SipTrunk | ExternalLine | LocalUser | None:
        if source.kind is SourceKind.SIP_TRUNK:
            return self._configuration.get(SipTrunk, source.id)
        if source.kind is SourceKind.EXTERNAL_LINE:
            return self._configuration.get(ExternalLine, source.id)
        if source.kind is SourceKind.LOCAL_USER:
            return self._configuration.users_by_number.get(source.number)
        return None

    def _side(self, flow: Flow, record: SipTrunk | ExternalLine | LocalUser | None) -> SideSettings:
        codecs = record.codecs if isinstance(record, OutgoingFields) else ()
        local, told = self._addresses.media_addresses(flow.remote_host, flow)
        return SideSettings(
            local_address=local,
            external_address=told if told != local else None,
            sip_source=flow.remote_host,
            codecs=codecs or None,
            local_networks=self._local_networks,
            dtmf_by_info=True,
        )

    # --- ending -------------------------------------------------------------------------------------------------------

    def _drop(self, call: Call, relay: CallRelay) -> None:
        """The call goes on without a relay."""
        call.media = None
        self._relays.pop(call.id, None)
        self._snapshots.pop(call.id, None)
        relay.close(lambda: None)

    def ended(self, call: Call, done: Callable[[], None]) -> None:
        """Give the call's ports back; `done()` is called when the figures of its streams are complete."""
        relay = self._relays.pop(call.id, None)
        self._snapshots.pop(call.id, None)
        if relay is None:
            done()
            return

        def finished() -> None:
            done()
            # They hold each other: without this they would wait for the garbage collector, with all they have.
            call.media = None

        relay.close(finished)

    # --- figures ------------------------------------------------------------------------------------------------------

    def figures(self) -> Mapping[str, float]:
        """The media gauges of all calls."""
        return _figures([snapshot for rows in self._snapshots.values() for snapshot in rows], len(self._relays))

    def figures_of_trunks(self) -> tuple[TrunkMedia, ...]:
        """The media gauges of each trunk that has relayed calls now.

        It is judged by what it sends: what the other side sends badly is not its fault. Packets count both ways.
        """
        sent: dict[int, list[StreamSnapshot]] = {}
        calls: dict[int, int] = {}
        packets: dict[int, float] = {}
        for call_id, relay in self._relays.items():
            trunks = {Side.CALLER: relay.call.trunk_in, Side.CALLED: relay.call.trunk_out}
            snapshots = self._snapshots.get(call_id, ())
            for trunk_id in set(trunks.values()) - {0}:
                calls[trunk_id] = calls.get(trunk_id, 0) + 1
                packets[trunk_id] = packets.get(trunk_id, 0.0) + sum(each.packets_per_second for each in snapshots)
                sent.setdefault(trunk_id, []).extend(each for each in snapshots if trunks[each.side] == trunk_id)
        result = []
        for trunk_id in sorted(calls):
            figures = _figures(sent[trunk_id], calls[trunk_id])
            result.append(
                TrunkMedia(
                    trunk_id,
                    calls[trunk_id],
                    round(packets[trunk_id], 1),
                    figures["mos_worst"],
                    figures["mos_median"],
                    figures["jitter_ms"],
                    figures["loss_percent"],
                )
            )
        return tuple(result)

    def rows(self, call_id: str) -> tuple[StreamRow, ...]:
        """The newest figures of a call's streams."""
        return tuple(_row(snapshot) for snapshot in self._snapshots.get(call_id, ()))

    # --- what the media layer tells -----------------------------------------------------------------------------------

    def _on_statistics(self, snapshots: tuple[StreamSnapshot, ...]) -> None:
        by_call: dict[str, list[StreamSnapshot]] = {}
        for snapshot in snapshots:
            if snapshot.call_id in self._relays:
                by_call.setdefault(snapshot.call_id, []).append(judged(snapshot))
        for call_id, rows in by_call.items():
            self._snapshots[call_id] = tuple(rows)
        if by_call and self._events.wanted(StreamsChanged):
            rows_of_all = tuple(_row(snapshot) for rows in by_call.values() for snapshot in rows)
            self._events.publish(StreamsChanged(rows_of_all))

    def _on_audio(self, session: MediaSession, _side: Side) -> None:
        """Audio is missing, or is there again."""
        relay = self._relays.get(session.call_id)
        problem = problem_words(session.problems)
        if relay is not None and relay.problem != problem:
            relay.problem = problem
            relay.call.audio_changed(problem)

    def _on_dead(self, session: MediaSession) -> None:
        relay = self._relays.get(session.call_id)
        if relay is not None:
            relay.call.hang_up(EndCause.MEDIA_TIMEOUT, "no audio came from either side for the media timeout")

    def _on_digit(self, session: MediaSession, received: ReceivedDigit) -> None:
        relay = self._relays.get(session.call_id)
        if relay is not None:
            pressed = PressedDigit(received.digit, received.duration_ms)
            relay.call.heard_digit(received.side is Side.CALLER, pressed, received.forwarded)

    def _on_worker_failed(self, failure: WorkerFailure) -> None:
        text = f"media process {failure.worker + 1} died ({failure.reason}); {failure.sessions} calls are set up again"
        self._events.publish(Alarm.about("media_worker", text, self._clock.wall()))
        _log.error("%s", text)

    def _on_worker_restored(self, restored: WorkerRestored) -> None:
        text = (
            f"media process {restored.worker + 1} works again: {restored.sessions} calls went without audio "
            f"for {restored.seconds:.1f} s"
        )
        self._events.publish(Alarm.about("media_worker", text, self._clock.wall(), cleared=True))


def judged(snapshot: StreamSnapshot) -> StreamSnapshot:
    """The snapshot with a recent score that is fair to a second in which nothing came.

    While nobody misses the audio (a call on hold, a phone that sends no silence) such a second says nothing, and the
    score is not known. Once it is missed it is the worst, even where nothing ever came.
    """
    if snapshot.packets_per_second:
        return snapshot
    return snapshot._replace(recent_mos=1.0 if snapshot.problem else 0.0)


_WORDS = {Side.CALLER: "caller", Side.CALLED: "called side"}


def digit_words(media: NegotiatedMedia | None) -> str:
    """What becomes of digits where telephone-event was not agreed on with both sides; blank where it was, or for SRTP,
    which passes as it is."""
    if media is None or not media.active or media.secure:
        return ""
    without = [side for side in Side if media.events[side] is None]
    if len(without) == len(Side):
        return "neither side has telephone-event: digits pass as SIP INFO, or as tones in the audio"
    return f"the {_WORDS[without[0]]} has no telephone-event: digits go to it as SIP INFO" if without else ""


def problem_words(problems: Sequence[Problem]) -> str:
    """What is wrong with the audio of a call, given what is wrong with the stream of each side; blank for nothing."""
    if all(problems):
        return "no audio comes from either side"
    for side in Side:
        if problems[side] is Problem.ONE_WAY:
            return f"one-way audio: nothing comes from the {_WORDS[side]}"
        if problems[side] is Problem.SILENT:
            return f"no audio comes from the {_WORDS[side]}"
    return ""


def _row(snapshot: StreamSnapshot) -> StreamRow:
    return StreamRow(
        call_id=snapshot.call_id,
        side="caller" if snapshot.side is Side.CALLER else "called",
        codec=snapshot.codec,
        packets=snapshot.packets,
        bytes=snapshot.bytes,
        lost=snapshot.lost,
        loss_percent=round(snapshot.recent_loss_percent, 2),
        jitter_ms=round(snapshot.jitter_ms, 2),
        round_trip_ms=round(snapshot.round_trip_ms, 1),
        mos=round(snapshot.recent_mos or snapshot.mos, 2),
        last_packet_ago=round(snapshot.last_packet_ago, 2),
        problem=snapshot.problem,
        packets_per_second=round(snapshot.packets_per_second, 1),
        gaps=snapshot.gaps,
    )


def _figures(snapshots: list[StreamSnapshot], relayed: int) -> dict[str, float]:
    scores = [snapshot.recent_mos for snapshot in snapshots if snapshot.recent_mos]
    jitters = [snapshot.jitter_ms for snapshot in snapshots if snapshot.packets]
    losses = [snapshot.recent_loss_percent for snapshot in snapshots if snapshot.packets]
    return {
        "relayed": relayed,
        "packets_per_second": round(sum(snapshot.packets_per_second for snapshot in snapshots), 1),
        "mos_worst": round(min(scores), 2) if scores else 0.0,
        "mos_median": round(statistics.median(scores), 2) if scores else 0.0,
        "jitter_ms": round(max(jitters), 2) if jitters else 0.0,
        "loss_percent": round(statistics.fmean(losses), 2) if losses else 0.0,
    }


def _way(flow: Flow) -> tuple[str, str]:
    """What of a way decides which of our addresses its peer is told."""
    return flow.local_host, flow.remote_host


def _signalled(leg: Leg) -> tuple[str, str]:
    """Where a party says that its audio is, and where its calls come from."""
    host, heard = leg.flow.remote_host, leg.last_heard
    return (connection_address(heard.content) if heard is not None else "") or host, host


def _host_of(contact: str) -> str:
    """The IP address that a Contact names, blank for a name or none."""
    try:
        host = Uri.parse(contact).host
    except RemoteError:
        return ""
    address = parse_address(host) if host else None
    return "" if address is None else str(address)


def connection_address(sdp: bytes) -> str:
    """The first connection address of a session description, blank where none can be read (RFC 8866 5.7)."""
    for line in sdp.splitlines():
        if line.startswith(b"c=IN IP"):
            return line[8:].strip().partition(b"/")[0].decode("ascii", "replace")
    return ""
