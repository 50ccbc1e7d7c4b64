"""The figures of relayed streams for those who show or keep them: immutable rows, made of what a worker reports."""

from __future__ import annotations

from typing import Any, NamedTuple

from app.media.messages import StreamRow
from app.media.negotiation import Side
from app.media.quality import burst_ratio, stream_score

LEAST_ROUND_TRIP = 0.1
"""Milliseconds: nothing shorter is told apart, on one machine for example."""


class StreamSnapshot(NamedTuple):
    """The stream that one side of a call sends, at a moment. Counts are of the whole call."""

    call_id: str
    side: Side
    """Who sends it."""
    at: float
    """Monotonic seconds."""
    codec: str
    """As it is written in the session description, blank while nothing came."""
    packets: int
    bytes: int
    """RTP packets, headers included, without UDP and IP."""
    expected: int
    lost: int
    loss_percent: float
    recent_loss_percent: float
    """Since the snapshot before."""
    packets_per_second: float
    """Likewise."""
    duplicates: int
    reordered: int
    gaps: int
    jitter_ms: float
    round_trip_ms: float
    """Between this server and the side, from RTCP; 0 while not known."""
    mos: float
    """For the whole call, 1.0 to 4.5; 0 while nothing came."""
    recent_mos: float
    """Likewise since the snapshot before."""
    last_packet_ago: float
    """Seconds; negative while none came."""
    control_ago: float
    """Seconds since the side's newest RTCP; negative while none came."""
    reported_loss_percent: float
    """What the side says it lost lately of the audio that it gets; negative while it said nothing."""
    reported_jitter_ms: float
    """Likewise."""
    foreign: int
    """Packets from strangers that were turned away before the side was known."""
    dropped: int
    """Packets of the side that were not passed on."""
    ssrc: int
    remote_host: str
    """Where its audio comes from; blank until it was learned."""
    remote_port: int
    problem: str
    """`one-way`, `silent` or blank."""

    def to_record(self) -> dict[str, Any]:
        """What a call record keeps of the stream."""
        return {
            "side": self.side.name.lower(),
            "codec": self.codec,
            "packets": self.packets,
            "bytes": self.bytes,
            "lost": self.lost,
            "loss_percent": round(self.loss_percent, 2),
            "duplicates": self.duplicates,
            "reordered": self.reordered,
            "gaps": self.gaps,
            "jitter_ms": round(self.jitter_ms, 2),
            "round_trip_ms": round(self.round_trip_ms, 1),
            "mos": round(self.mos, 2),
            "remote": f"{self.remote_host}:{self.remote_port}" if self.remote_host else "",
            "problem": self.problem,
        }


class MediaReport(NamedTuple):
    """The figures of a relayed call at its end."""

    call_id: str
    caller: StreamSnapshot
    called: StreamSnapshot

    def to_records(self) -> tuple[dict[str, Any], ...]:
        """For the call record: one entry per direction."""
        return (self.caller.to_record(), self.called.to_record())


EMPTY_ROW = StreamRow(0, 0, 0, 0, 0, 0, 0, 0.0, 0, 0, -1, -1.0, -1.0, -1.0, -1.0, 0, 0, -1.0, 0)


def add_rows(earlier: StreamRow, row: StreamRow) -> StreamRow:
    """The counts of a call that went on in another worker: summed; the rest is as it is now."""
    if earlier is EMPTY_ROW:
        return row
    return row._replace(
        packets=earlier.packets + row.packets,
        bytes=earlier.bytes + row.bytes,
        expected=earlier.expected + row.expected,
        lost=earlier.lost + row.lost,
        duplicates=earlier.duplicates + row.duplicates,
        reordered=earlier.reordered + row.reordered,
        gaps=earlier.gaps + row.gaps,
        sources=earlier.sources + row.sources,
        foreign=earlier.foreign + row.foreign,
        control_packets=earlier.control_packets + row.control_packets,
        dropped=earlier.dropped + row.dropped,
        jitter=row.jitter if row.packets else earlier.jitter,
        payload_type=row.payload_type if row.packets else earlier.payload_type,
        round_trip=row.round_trip if row.round_trip >= 0 else earlier.round_trip,
    )


def _since(row: StreamRow, before: StreamSnapshot | None, now: float, passed: float | None) -> tuple[float, int, float]:
    """Loss in percent, packets and seconds since the snapshot before."""
    expected, lost, packets, seconds = row.expected, row.lost, row.packets, 0.0
    if before is not None:
        expected -= before.expected
        lost -= before.lost
        packets -= before.packets
        seconds = now - before.at if passed is None else passed
    # A late packet can take back a loss of the time before.
    return (min(max(100.0 * lost / expected, 0.0), 100.0) if expected > 0 else 0.0), packets, seconds


def make_snapshot(
    call_id: str,
    side: Side,
    row: StreamRow,
    other: StreamRow,
    before: StreamSnapshot | None,
    now: float,
    codec: str,
    codec_name: str,
    remote: tuple[str, int] | None,
    problem: str,
    last_packet_at: float,
    last_control_at: float,
    passed: float | None = None,
) -> StreamSnapshot:
    """The snapshot of one stream; `other` is the row of the other side, `before` the snapshot before this one.

    `last_packet_at` and `last_control_at` are monotonic seconds, negative for never. `passed` are the seconds between
    the two gatherings, where the worker told them.
    """
    loss = 100.0 * row.lost / row.expected if row.expected else 0.0
    recent_loss, packets, seconds = _since(row, before, now, passed)
    jitter = row.jitter * 1000
    round_trip = (max(row.round_trip, 0.0) + max(other.round_trip, 0.0)) * 1000
    mos = recent_mos = 0.0
    if row.packets:
        mos = stream_score(codec_name, loss, jitter, round_trip, burst_ratio(row.lost, row.gaps, row.expected))
        recent_mos = stream_score(codec_name, recent_loss, jitter, round_trip) if packets > 0 else 1.0
    return StreamSnapshot(
        call_id,
        side,
        now,
        codec if row.packets else "",
        row.packets,
        row.bytes,
        row.expected,
        row.lost,
        loss,
        recent_loss,
        packets / seconds if seconds > 0 else 0.0,
        row.duplicates,
        row.reordered,
        row.gaps,
        jitter,
        # One that is known is never shown as the 0 of one that is not.
        max(row.round_trip * 1000, LEAST_ROUND_TRIP) if row.round_trip >= 0 else 0.0,
        mos,
        recent_mos,
        now - last_packet_at if last_packet_at >= 0 else -1.0,
        now - last_control_at if last_control_at >= 0 else -1.0,
        row.reported_loss * 100 if row.reported_loss >= 0 else -1.0,
        row.reported_jitter * 1000 if row.reported_jitter >= 0 else -1.0,
        row.foreign,
        row.dropped,
        row.ssrc,
        remote[0] if remote else "",
        remote[1] if remote else 0,
        problem,
    )
