"""What happens, as frozen rows and events, and the bus that hands them on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar, cast

from app.text import one_line

MAXIMUM_ALARM = 500
"""An alarm has no more characters than this."""

_log = logging.getLogger(__name__)


class CallState(StrEnum):
    """Where a call is."""

    ROUTING = "routing"
    CALLING = "calling"
    RINGING = "ringing"
    TALKING = "talking"
    HELD = "held"
    ENDING = "ending"
    ENDED = "ended"


class TrunkState(StrEnum):
    """What a trunk can do now."""

    DISABLED = "disabled"
    UNKNOWN = "unknown"
    UP = "up"
    DEGRADED = "degraded"
    FULL = "full"
    DOWN = "down"


class LineState(StrEnum):
    """The registration of an external line."""

    DISABLED = "disabled"
    UNREGISTERED = "unregistered"
    REGISTERING = "registering"
    REGISTERED = "registered"
    REJECTED = "rejected"
    RETRYING = "retrying"


class UserState(StrEnum):
    """What a phone is doing."""

    OFFLINE = "offline"
    REGISTERED = "registered"
    RINGING = "ringing"
    TALKING = "talking"


class EngineState(StrEnum):
    """Whether the server listens."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    FAILED = "failed"


class Severity(StrEnum):
    """How much an alarm matters."""

    INFORMATION = "information"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class CallRow:
    """A call as the live list shows it."""

    id: str
    state: CallState
    source: str
    """Who calls, as in a call record: `trunk:1`, `line:1`, `user:100`."""
    target: str
    """Where the call goes now; blank while it is routed."""
    caller_number: str
    called_number: str
    sent_number: str
    """The number as it left this server."""
    trunk_in: int
    """The id of the SIP trunk it came from, 0 for none."""
    trunk_out: int
    """The id of the SIP trunk it goes to, 0 for none."""
    started: float
    """Wall time, seconds since the epoch."""
    answered: float
    """Wall time of the answer, 0 before."""
    ended: float
    """Wall time of the end, 0 before."""
    status: int
    """The last SIP status of the called side, 0 before any."""
    text: str
    """The newest step in words."""
    digits: str = ""
    """DTMF digits that passed."""
    relayed: bool = False
    problem: str = ""
    """What is wrong with its relayed audio, in words; blank while all is well."""


@dataclass(frozen=True, slots=True)
class StreamRow:
    """One direction of a relayed call's audio."""

    call_id: str
    side: str
    """`caller` or `called`: who sends this stream."""
    codec: str
    packets: int
    bytes: int
    lost: int
    loss_percent: float
    jitter_ms: float
    round_trip_ms: float
    """0 while not known."""
    mos: float
    """1.0 to 4.5; 0 while not known."""
    last_packet_ago: float
    """Seconds; negative while no packet came."""
    problem: str = ""
    """`one-way`, `silent`, or blank."""
    packets_per_second: float = 0.0
    gaps: int = 0
    """How often packets were missing, however many in a row."""


@dataclass(frozen=True, slots=True)
class TrunkRow:
    """A trunk as the status page and its gauge show it."""

    id: int
    name: str
    state: TrunkState
    reason: str
    """Why it is in this state, in words."""
    active_in: int
    max_in: int
    active_out: int
    max_out: int
    last_status: int
    """The last SIP status that the peer sent, 0 for none yet."""
    round_trip_ms: float
    """Of the last OPTIONS probe; 0 while not known."""
    changed: float
    """Wall time of the last change of state."""


@dataclass(frozen=True, slots=True)
class LineRow:
    """An external line's registration."""

    id: int
    name: str
    state: LineState
    reason: str
    last_status: int
    expires_at: float
    """Wall time at which the registration ends, or the next try begins; 0 for none."""
    active_in: int
    active_out: int
    max_out: int


@dataclass(frozen=True, slots=True)
class UserRow:
    """A local user's phone."""

    number: str
    name: str
    state: UserState
    contacts: tuple[str, ...]
    """The registered contacts, as URIs."""
    user_agent: str
    expires_at: float
    """Wall time at which the last registration ends; 0 for none."""
    active_calls: int


@dataclass(frozen=True, slots=True)
class RejectedSource:
    """A stranger that was turned away; one row per address, counted."""

    address: str
    port: int
    transport: str
    method: str
    called_number: str
    user_agent: str
    reason: str
    count: int
    first: float
    """Wall time."""
    last: float


@dataclass(frozen=True, slots=True)
class Ban:
    """An address that is ignored for a time, or a source whose external calls are stopped."""

    address: str
    """`192.0.2.1`, `192.0.2.1:5060` of one phone, `user:100` of a source."""
    reason: str
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to reach a target, kept in the call record."""

    target: str
    """`trunk:2`, `line:1`, `user:100`."""
    sent_number: str
    at: float
    """Wall time."""
    status: int
    """The final status that it got; 0 when it got none."""
    reason: str
    """In words: `503 Service Unavailable`, `outgoing limit 30 reached`."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """What is kept of a call, answered or not."""

    id: str
    node: str
    started: float
    """Wall time, seconds since the epoch, UTC; likewise answered and ended (0: never)."""
    answered: float
    ended: float
    caller_number: str
    called_number: str
    sent_number: str
    source: str
    """`trunk:1`, `line:1`, `user:100`, `address:192.0.2.1:5060`."""
    target: str
    """Likewise; the target that answered or was tried last, blank where none was."""
    status: int
    """The final SIP status that the caller got."""
    end_cause: str
    """A word of `EndCause`."""
    ended_by: str
    """`caller`, `called` or `server`."""
    talk_seconds: float
    trail: tuple[str, ...]
    """Each step of the routing in words."""
    attempts: tuple[Attempt, ...]
    media: tuple[dict[str, Any], ...] = ()
    """One entry per direction of a relayed call."""


@dataclass(frozen=True, slots=True)
class TrunkMedia:
    """The relayed audio of a trunk's calls at a moment."""

    trunk_id: int
    relayed: int
    packets_per_second: float
    """Both ways."""
    mos_worst: float
    """1.0 to 4.5; 0 while not known, likewise the median. This and what follows is of the streams that it sends."""
    mos_median: float
    jitter_ms: float
    """The worst of these streams."""
    loss_percent: float
    """The mean of these streams."""


@dataclass(frozen=True, slots=True)
class GaugeSample:
    """The state of the whole server at a moment, taken once a second."""

    at: float
    """Wall time."""
    calls: int
    calls_per_second: float
    """New calls per second."""
    answer_ratio: float
    """Answered of ended calls over the last five minutes, 0 to 100; -1 while none ended."""
    registered: int
    """Phones that are registered."""
    trunks: tuple[tuple[int, int, int], ...]
    """(trunk id, calls in, calls out)."""
    relayed: int = 0
    packets_per_second: float = 0.0
    mos_worst: float = 0.0
    mos_median: float = 0.0
    jitter_ms: float = 0.0
    loss_percent: float = 0.0
    trunk_media: tuple[TrunkMedia, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """Root of what the bus carries."""


@dataclass(frozen=True, slots=True)
class CallChanged(Event):
    """A call is new or has changed; `row.state` ENDED is its last."""

    row: CallRow


@dataclass(frozen=True, slots=True)
class CallRecorded(Event):
    """A call has ended and this is its record."""

    record: CallRecord


@dataclass(frozen=True, slots=True)
class StreamsChanged(Event):
    """New figures of relayed streams."""

    rows: tuple[StreamRow, ...]


@dataclass(frozen=True, slots=True)
class TrunkChanged(Event):
    """A trunk's row is new; `gone` when its record was deleted."""

    row: TrunkRow
    gone: bool = False


@dataclass(frozen=True, slots=True)
class LineChanged(Event):
    """A line's row is new."""

    row: LineRow
    gone: bool = False


@dataclass(frozen=True, slots=True)
class UserChanged(Event):
    """A user's row is new."""

    row: UserRow
    gone: bool = False


@dataclass(frozen=True, slots=True)
class SourceRejected(Event):
    """A stranger was turned away."""

    row: RejectedSource


@dataclass(frozen=True, slots=True)
class BansChanged(Event):
    """The list of banned addresses and stopped sources is new."""

    bans: tuple[Ban, ...]


@dataclass(frozen=True, slots=True)
class Sampled(Event):
    """A second has passed."""

    sample: GaugeSample


@dataclass(frozen=True, slots=True)
class ConfigurationChanged(Event):
    """The configuration was replaced, by this program or by another one."""

    configuration: Any
    """An `app.records.Configuration`."""


@dataclass(frozen=True, slots=True)
class EngineChanged(Event):
    """The server's state or its listeners changed."""

    state: EngineState
    listeners: tuple[str, ...] = ()
    """`udp:127.0.0.1:5060`"""
    text: str = ""
    """What to tell the user, blank when all is well."""


@dataclass(frozen=True, slots=True)
class MessageTraced(Event):
    """A SIP message that belongs to a call, for its ladder."""

    call_id: str
    at: float
    outgoing: bool
    local: str
    remote: str
    text: str


@dataclass(frozen=True, slots=True)
class Alarm(Event):
    """Something a person should know of."""

    severity: Severity
    code: str
    """A stable word: `trunk_down`, `line_down`, `database`, `listener`, `media_worker`, `overload`,
    `external_calls`, `alarm_delivery`."""
    text: str
    at: float = 0.0
    cleared: bool = False
    """True when the trouble is over."""
    values: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def about(
        cls,
        code: str,
        text: str,
        at: float,
        *,
        cleared: bool = False,
        severity: Severity = Severity.ERROR,
        **values: Any,
    ) -> Alarm:
        """An alarm of this severity or, `cleared`, the information that it is over; `at` is wall clock seconds.

        Some of its words may be a peer's: the text is one line of bearable length whatever they hold.
        """
        line = one_line(text, MAXIMUM_ALARM)
        return cls(Severity.INFORMATION if cleared else severity, code, line, at, cleared, values)


def worst_of(alarms: Sequence[Alarm]) -> Alarm:
    """The one of several alarms to tell of: the newest error, or the newest where none is an error."""
    return max(alarms, key=lambda alarm: (alarm.severity is Severity.ERROR, alarm.at))


E = TypeVar("E", bound=Event)


class EventBus:
    """Hands each event to its subscribers at once, in the order of subscription.

    A subscriber that raises is logged and does not keep the others, or the call, from going on.
    """

    def __init__(self) -> None:
        self._subscribers: dict[type[Event], list[Callable[[Any], None]]] = {}

    def subscribe(self, kind: type[E], callback: Callable[[E], None]) -> Callable[[], None]:
        """Have `callback(event)` called for every event of this type; returns the function that ends it."""
        listeners = self._subscribers.setdefault(kind, [])
        listeners.append(cast("Callable[[Any], None]", callback))

        def unsubscribe() -> None:
            if callback in listeners:
                listeners.remove(callback)

        return unsubscribe

    def wanted(self, kind: type[Event]) -> bool:
        """Whether anybody listens: costly events need not be made for nobody."""
        return bool(self._subscribers.get(kind))

    def publish(self, event: Event) -> None:
        """Give the event to everybody who asked for its type."""
        for callback in tuple(self._subscribers.get(type(event), ())):
            try:
                callback(event)
            except Exception:
                _log.exception("a subscriber of %s failed", type(event).__name__)
