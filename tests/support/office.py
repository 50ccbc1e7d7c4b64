"""A small office: a configuration with one of everything, and calls, records and samples to look at."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from typing import Any

from support.fake_engine import FakeEngine

from app.events import (
    Attempt,
    Ban,
    CallRecord,
    CallRow,
    CallState,
    GaugeSample,
    LineRow,
    LineState,
    MessageTraced,
    RejectedSource,
    StreamRow,
    TrunkMedia,
    TrunkRow,
    TrunkState,
    UserRow,
    UserState,
)
from app.records import (
    TABLES,
    AddressList,
    AnalyzeCalledNumber,
    AnalyzeCallerNumber,
    Configuration,
    ExternalLine,
    LocalUser,
    NumberList,
    NumberTransition,
    Record,
    RefineCalledNumber,
    RefineCallerNumber,
    RoutingGroup,
    RoutingGroupMember,
    SipTrunk,
    System,
)


def configuration_of(*records: Record) -> Configuration:
    """A configuration that holds these records."""
    tables: dict[str, dict[int, Record]] = {name: {} for name in TABLES}
    for record in records:
        tables[record.table][record.id] = record
    return Configuration(System(), tables)


def office() -> Configuration:
    """A configuration with records in every table, a few of them odd."""
    return configuration_of(
        LocalUser(id=1, number="100", password="a-secret", display_name="Reception"),
        LocalUser(id=2, number="101", password="b-secret", display_name="Anna Berg", call_levels=(1, 2)),
        LocalUser(id=3, number="102", password="c-secret"),
        LocalUser(id=4, number="103", password="d-secret", display_name="Workshop", enabled=False),
        ExternalLine(
            id=1, account="4930123456", password="line-secret", server_address="sip.provider.example", local_user="100"
        ),
        SipTrunk(id=1, description="Carrier A", server_address="192.0.2.8", next_trunk_id=2, outgoing_group_id=1),
        SipTrunk(id=2, description="Carrier B", server_address="198.51.100.20", server_port=5080, options_interval=30),
        SipTrunk(id=3, description="Gateway", server_address="10.0.0.9", max_outgoing_calls=0, max_incoming_calls=4),
        SipTrunk(id=4, description="Old carrier", server_address="203.0.113.77", enabled=False),
        AnalyzeCallerNumber(id=1, prefix="10", transition_id=1, description="Inside numbers"),
        AnalyzeCalledNumber(id=1, prefix="13", route_type="sip_trunk", target_id=1, description="Mobile"),
        AnalyzeCalledNumber(id=2, prefix="0", route_type="routing_group", target_id=1, description="Long distance"),
        AnalyzeCalledNumber(id=3, prefix="00", route_type="sip_trunk", target_id=4, call_level=2),
        AnalyzeCalledNumber(id=4, prefix="2", route_type="sip_trunk", target_id=9, description="Forgotten"),
        RefineCallerNumber(id=1, outgoing_group_id=1, prefix="", transition_id=3),
        RefineCalledNumber(id=1, outgoing_group_id=1, prefix="0", transition_id=2),
        NumberTransition(id=1, type="insert", start=0, digits="4930"),
        NumberTransition(id=2, type="replace", start=0, length=1, digits="0086", description="To China"),
        NumberTransition(id=3, type="delete", start=0, length=2),
        RoutingGroup(
            id=1,
            name="All carriers",
            members=(
                RoutingGroupMember(route_type="sip_trunk", target_id=1),
                RoutingGroupMember(route_type="sip_trunk", target_id=2, priority=2),
                RoutingGroupMember(route_type="external_line", target_id=1, priority=3),
            ),
        ),
        NumberList(id=1, caller_prefix="*", called_prefix="900", description="Premium numbers"),
        NumberList(id=2, caller_prefix="101", called_prefix="9001", block_percent=0),
        AddressList(id=1, network="198.18.0.0/15", description="Scanners"),
    )


def make_call(name: str = "1", **values: Any) -> CallRow:
    """A call in progress."""
    fields: dict[str, Any] = {
        "id": f"call-{name}",
        "state": CallState.TALKING,
        "source": "user:100",
        "target": "trunk:1",
        "caller_number": "100",
        "called_number": "135550",
        "sent_number": "135550",
        "trunk_in": 0,
        "trunk_out": 1,
        "started": time.time() - 75,
        "answered": time.time() - 63,
        "ended": 0.0,
        "status": 200,
        "text": "answered by SIP trunk 1",
    }
    return CallRow(**(fields | values))


def make_stream(side: str = "caller", name: str = "1", **values: Any) -> StreamRow:
    """One direction of a relayed call's audio."""
    fields: dict[str, Any] = {
        "call_id": f"call-{name}",
        "side": side,
        "codec": "PCMA/8000",
        "packets": 3150,
        "bytes": 541_800,
        "lost": 2,
        "loss_percent": 0.1,
        "jitter_ms": 1.6,
        "round_trip_ms": 24.0,
        "mos": 4.39,
        "last_packet_ago": 0.01,
        "packets_per_second": 50.0,
    }
    return StreamRow(**(fields | values))


def make_media(side: str = "caller", **values: Any) -> dict[str, Any]:
    """What a call record keeps of one direction."""
    fields: dict[str, Any] = {
        "side": side,
        "codec": "PCMA/8000",
        "packets": 3000,
        "bytes": 516_000,
        "lost": 12,
        "loss_percent": 0.4,
        "duplicates": 0,
        "reordered": 3,
        "gaps": 7,
        "jitter_ms": 2.13,
        "round_trip_ms": 31.5,
        "mos": 4.36,
        "remote": "10.0.0.31:4000",
        "problem": "",
    }
    return fields | values


def make_record(number: int = 1, **values: Any) -> CallRecord:
    """A call that has ended."""
    started = time.time() - 60 * number
    fields: dict[str, Any] = {
        "id": f"record-{number:06}",
        "node": "office",
        "started": started,
        "answered": started + 4,
        "ended": started + 64,
        "caller_number": "100",
        "called_number": f"1355{number:04}",
        "sent_number": f"1355{number:04}",
        "source": "user:100",
        "target": "trunk:1",
        "status": 200,
        "end_cause": "normal",
        "ended_by": "caller",
        "talk_seconds": 60.0,
        "trail": (
            "source: local user 100 by digest",
            "analyze called number: prefix 13 fits best [not used: 2 (its prefix 1 is shorter)]",
            "route: SIP trunk 1",
        ),
        "attempts": (Attempt("trunk:1", f"1355{number:04}", started + 0.1, 200, "200 OK"),),
    }
    return CallRecord(**(fields | values))


def make_samples(count: int = 300) -> list[GaugeSample]:
    """Five minutes of a busy morning, the same each time."""
    chance = random.Random(7)
    now = time.time()
    samples: list[GaugeSample] = []
    first, second = 8.0, 4.0
    worse = random.Random(8)
    for place in range(count):
        first = min(30.0, max(0.0, first + chance.uniform(-1.2, 1.25)))
        second = min(12.0, max(0.0, second + chance.uniform(-0.8, 0.8)))
        trunks = ((1, int(second), int(first)), (2, int(first / 3), int(second / 2)), (3, int(second / 4), 0))
        samples.append(
            GaugeSample(
                at=now - count + place,
                calls=sum(trunk[1] + trunk[2] for trunk in trunks),
                calls_per_second=round(abs(chance.gauss(0.8, 0.5)), 1),
                answer_ratio=-1.0 if place < 20 else round(70 + first / 3 + chance.uniform(-2, 2), 1),
                registered=3,
                trunks=trunks,
                **_make_figures(int(first) + int(second), 0.9 if place % 100 > 88 else 0.0, worse),
            )
        )
        first_trunk = {**_make_figures(int(first), 0.0, worse), "trunk_id": 1}
        samples[-1] = replace(samples[-1], trunk_media=(TrunkMedia(**first_trunk),))
    return samples


def _make_figures(relayed: int, trouble: float, chance: random.Random) -> dict[str, Any]:
    """The media gauges of a second."""
    return {
        "relayed": relayed,
        "packets_per_second": round(relayed * 100 * chance.uniform(0.99, 1.0), 1),
        "mos_worst": round(max(1.0, 4.2 - 2 * trouble - chance.uniform(0, 0.15)), 2) if relayed else 0.0,
        "mos_median": round(4.38 - chance.uniform(0, 0.03), 2) if relayed else 0.0,
        "jitter_ms": round(chance.uniform(2, 6) + 40 * trouble, 2) if relayed else 0.0,
        "loss_percent": round(chance.uniform(0, 0.1) + 2 * trouble, 2) if relayed else 0.0,
    }


def busy_office() -> FakeEngine:
    """The office in the middle of a morning."""
    engine = FakeEngine(office())
    now = time.time()
    engine.trunk_rows |= {
        1: TrunkRow(1, "1 - Carrier A (192.0.2.8:5060)", TrunkState.UP, "", 4, 30, 17, 30, 200, 18.2, now - 4000),
        2: TrunkRow(
            2,
            "2 - Carrier B (198.51.100.20:5080)",
            TrunkState.DOWN,
            "no answer to OPTIONS for 30 s",
            0, 30, 0, 30, 408, 0.0, now - 95,
        ),
        3: TrunkRow(
            3, "3 - Gateway (10.0.0.9:5060)", TrunkState.FULL, "incoming limit 4 reached", 4, 4, 0, 0, 200, 1.4, now
        ),
    }  # fmt: skip
    engine.line_rows[1] = LineRow(
        1, "1 - 4930123456@sip.provider.example", LineState.REGISTERED, "", 200, now + 258, 1, 2, 30
    )
    engine.user_rows |= {
        "100": UserRow("100", "Reception", UserState.TALKING, ("sip:100@10.0.0.31:5062",), "Yealink T46", now + 900, 1),
        "101": UserRow("101", "Anna Berg", UserState.RINGING, ("sip:101@10.0.0.32:5060",), "baresip 3.9", now + 500, 1),
        "102": UserRow("102", "", UserState.REGISTERED, ("sip:102@10.0.0.33:5060",), "Linphone", now + 70, 0),
    }
    for call in (
        make_call("1", relayed=True, digits="42#"),
        make_call("2", source="trunk:1", target="user:101", caller_number="+4930555", called_number="101", trunk_in=1,
                  trunk_out=0, state=CallState.RINGING, answered=0.0, status=180, text="ringing at 101"),
        make_call("3", caller_number="102", called_number="0301234", trunk_out=2, state=CallState.CALLING,
                  answered=0.0, status=0, started=now - 2, text="trying SIP trunk 2"),
        make_call("4", source="trunk:3", caller_number="+33140", called_number="100", trunk_in=3, trunk_out=0,
                  state=CallState.HELD, started=now - 1300, answered=now - 1290, text="held by 100"),
    ):  # fmt: skip
        engine.rows[call.id] = call
    engine.rejected = [
        RejectedSource("198.51.100.9", 5071, "udp", "INVITE", "00972599123456", "friendly-scanner",
                       "not a trunk, not a line, no password", 412, now - 7200, now - 3),
        RejectedSource("10.0.0.9", 5064, "udp", "INVITE", "100", "Gateway 2.1",
                       "trunk 3 has this address, but it sends to another port", 3, now - 300, now - 40),
        RejectedSource("2001:db8::77", 5060, "tcp", "REGISTER", "", "sipcli/v1.8", "wrong password",
                       27, now - 900, now - 60),
    ]  # fmt: skip
    engine.banned = [
        Ban("198.51.100.9", "10 failed authentications within a minute", now - 300, now + 3300),
        Ban("203.0.113.5", "10 failed authentications within a minute", now - 3000, now + 600),
    ]
    engine.stream_rows = {
        ("call-1", "caller"): make_stream(),
        ("call-1", "called"): make_stream(
            "called", mos=3.42, lost=97, loss_percent=3.1, jitter_ms=34.2, round_trip_ms=120.0
        ),
    }
    engine.sample_rows = make_samples()
    engine.records = [_varied(number) for number in range(1, 1001)]
    engine.messages["call-1"] = tuple(
        MessageTraced("call-1", now - 75 + place * 0.04, outgoing, "10.0.0.1:5060", remote, text)
        for place, (outgoing, remote, text) in enumerate(
            (
                (
                    False,
                    "10.0.0.31:5062",
                    "INVITE sip:135550@10.0.0.1 SIP/2.0\r\nFrom: <sip:100@10.0.0.1>;tag=1\r\n\r\n",
                ),
                (True, "10.0.0.31:5062", "SIP/2.0 100 Trying\r\n\r\n"),
                (True, "192.0.2.8:5060", "INVITE sip:135550@192.0.2.8:5060 SIP/2.0\r\n\r\n"),
                (False, "192.0.2.8:5060", "SIP/2.0 180 Ringing\r\n\r\n"),
                (True, "10.0.0.31:5062", "SIP/2.0 180 Ringing\r\n\r\n"),
                (False, "192.0.2.8:5060", "SIP/2.0 200 OK\r\n\r\n"),
                (True, "10.0.0.31:5062", "SIP/2.0 200 OK\r\n\r\n"),
            )
        )
    )
    return engine


def _varied(number: int) -> CallRecord:
    if number % 7 == 3:
        return make_record(
            number,
            answered=0.0,
            status=503,
            end_cause="trunk_failed",
            ended_by="called",
            talk_seconds=0.0,
            target="trunk:2",
            attempts=(
                Attempt("trunk:1", "135550", time.time(), 503, "503 Service Unavailable"),
                Attempt("trunk:2", "135550", time.time(), 0, "no answer to INVITE within 5 s"),
            ),
        )
    if number % 5 == 2:
        return make_record(number, answered=0.0, status=486, end_cause="busy", ended_by="called", talk_seconds=0.0)
    if number % 11 == 4:
        return make_record(
            number,
            answered=0.0,
            status=487,
            end_cause="cancelled",
            source="trunk:3",
            target="user:101",
            talk_seconds=0.0,
        )
    if number % 3 == 1:
        media = (make_media(), make_media("called", mos=2.94, lost=141, loss_percent=4.7, jitter_ms=38.4))
        return make_record(number, talk_seconds=float(number % 400), media=media)
    return make_record(number, talk_seconds=float(number % 400))
