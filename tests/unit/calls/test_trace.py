"""The ladder of a call from the messages that are still kept."""

from __future__ import annotations

import pytest

from app.calls import trace as trace_module
from app.calls.trace import Trace
from app.sip.flow import Flow

FLOW = Flow("udp", "10.0.0.5", 5060, "192.0.2.8", 5070)


def message(call_id: str, start: str = "INVITE sip:1@x SIP/2.0", name: str = "Call-ID") -> bytes:
    return f"{start}\r\nVia: SIP/2.0/UDP h\r\n{name}: {call_id}\r\n\r\nbody".encode()


def traced() -> Trace:
    now = iter(range(100, 100_000))
    return Trace(lambda: float(next(now)))


def test_the_messages_of_all_legs_in_order() -> None:
    trace = traced()
    trace.leg("call", "leg-one")
    trace.leg("call", "leg-two")
    trace.leg("other", "leg-three")
    trace.message(False, FLOW, message("leg-one"))
    trace.message(True, FLOW, message("leg-three"))
    trace.message(True, FLOW._replace(transport="tcp", local_host="2001:db8::5"), message("leg-two", name="i"))
    trace.message(False, FLOW, message("LEG-ONE"))
    trace.message(False, FLOW, message("leg-one ", "SIP/2.0 200 OK", "CALL-ID"))
    ladder = trace.ladder("call")
    assert [(each.at, each.outgoing) for each in ladder] == [(100.0, False), (102.0, True), (104.0, False)]
    assert [each.local for each in ladder] == ["udp:10.0.0.5:5060", "tcp:[2001:db8::5]:5060", "udp:10.0.0.5:5060"]
    assert "192.0.2.8" in ladder[0].remote
    assert ladder[0].text == message("leg-one").decode()
    assert trace.ladder("unknown") == ()


def test_a_call_id_in_a_body_or_another_header_is_none() -> None:
    trace = traced()
    trace.leg("call", "leg")
    trace.message(False, FLOW, b"INVITE sip:1@x SIP/2.0\r\nX-Call-ID: leg\r\nCall-ID: another\r\n\r\n")
    assert trace.ladder("call") == ()


def test_bytes_that_are_no_text() -> None:
    trace = traced()
    trace.leg("call", "leg\udcff")
    trace.message(False, FLOW, b"INVITE sip:1@x SIP/2.0\r\nCall-ID: leg\xff\r\n\r\n\xfe")
    (only,) = trace.ladder("call")
    assert "\ufffd" in only.text


def test_everything_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_module, "MAXIMUM_MESSAGES", 50)
    monkeypatch.setattr(trace_module, "MAXIMUM_CALLS", 3)
    monkeypatch.setattr(trace_module, "MAXIMUM_LADDER", 10)
    trace = traced()
    for number in range(5):
        trace.leg(f"call{number}", f"leg{number}")
    for _ in range(200):
        trace.message(False, FLOW, message("leg4"))
    assert len(trace._messages) == 50
    assert len(trace._legs) == 3
    assert len(trace.ladder("call4")) == 10
    trace.message(False, FLOW, message("leg0"))
    assert trace.ladder("call0") == ()


def test_large_messages_are_kept_for_a_shorter_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger's datagrams may have 65,000 bytes each: memory must not depend on that."""
    monkeypatch.setattr(trace_module, "MAXIMUM_BYTES", 100_000)
    trace = traced()
    trace.leg("call", "leg")
    for _ in range(500):
        trace.message(False, FLOW, message("leg") + b"x" * 20_000)
    assert len(trace.ladder("call")) == 4
    for _ in range(500):
        trace.message(False, FLOW, message("leg"))
    assert len(trace.ladder("call")) > 400
