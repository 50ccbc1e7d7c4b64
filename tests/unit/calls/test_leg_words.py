"""What legs and calls decide by themselves: ways inside a dialog, statuses that are passed on, digits, hold, causes."""

from __future__ import annotations

import pytest
from support.calling import configured

from app.calls.call import (
    better_failure,
    cause_of_failure,
    cause_of_rejection,
    digit_of,
    is_hold,
    may_fail_over,
)
from app.calls.leg import body_headers, body_of, next_hop, passed_on
from app.calls.leg_events import Body, EndCause, Failed, FailureKind
from app.dialplan.decision import DialTarget
from app.records import LocalUser, RouteType, SipTrunk
from app.sip.flow import Flow
from app.sip.message import Response

ANSWER, TIMEOUT, TRANSPORT, LOCAL = FailureKind


def flow(host: str, port: int = 5060, transport: str = "udp") -> Flow:
    return Flow(transport, "10.0.0.5", 5060, host, port)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("named", "port", "heard", "is_phone", "way"),
    [
        ("192.168.1.2", None, flow("192.168.1.2"), False, ("192.168.1.2", 5060)),
        # A gateway in the same network that signals from another address or port than it is called at.
        ("192.168.1.3", 5070, flow("192.168.1.2"), False, ("192.168.1.3", 5070)),
        ("192.168.1.2", 5070, flow("192.168.1.2", 33333), False, ("192.168.1.2", 5070)),
        # A phone that is heard from another address than it names is behind NAT.
        ("192.168.1.3", 5070, flow("10.8.0.2", 33333), True, ("10.8.0.2", 33333)),
        ("192.168.1.2", 5070, flow("192.168.1.2", 33333), True, ("192.168.1.2", 5070)),
        # Private and public do not mix: one of them cannot be reached from where the other is.
        ("192.168.1.3", 5060, flow("8.8.8.8", 33333), False, ("8.8.8.8", 33333)),
        ("8.8.4.4", 5060, flow("192.168.1.2", 33333), False, ("192.168.1.2", 33333)),
        # A carrier with several public addresses; and one behind a NAT of its own, whose port is the one that is open.
        ("8.8.4.4", 5070, flow("8.8.8.8"), False, ("8.8.4.4", 5070)),
        ("8.8.8.8", 5070, flow("8.8.8.8", 33333), False, ("8.8.8.8", 33333)),
        # No DNS on the way of a message, and no nonsense.
        ("sbc.carrier.test", 5070, flow("8.8.8.8"), False, ("8.8.8.8", 5060)),
        ("0.0.0.0", 5060, flow("192.168.1.2"), False, ("192.168.1.2", 5060)),
        ("239.1.1.1", 5060, flow("192.168.1.2"), False, ("192.168.1.2", 5060)),
        ("[2001:4860::8]", None, flow("8.8.8.8"), False, ("8.8.8.8", 5060)),
        ("[2001:4860::9]", None, flow("2001:4860::8"), False, ("2001:4860::9", 5060)),
        ("8.8.4.4", 5070, flow("8.8.8.8", 33333, "tcp"), False, ("8.8.8.8", 33333)),
    ],
)
def test_where_a_request_inside_a_dialog_goes(
    named: str, port: int | None, heard: Flow, is_phone: bool, way: tuple[str, int]
) -> None:
    found = next_hop(named, port, heard, is_phone)
    assert (found.remote_host, found.remote_port) == way
    assert found._replace(remote_host=heard.remote_host, remote_port=heard.remote_port) == heard


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (200, 200),
        (180, 180),
        (300, 480),
        (302, 480),
        (399, 480),
        (401, 403),
        (407, 403),
        (420, 500),
        (421, 500),
        (422, 500),
        (423, 500),
        (494, 500),
        (404, 404),
        (486, 486),
        (488, 488),
        (503, 503),
        (603, 603),
    ],
)
def test_which_status_is_passed_on(status: int, told: int) -> None:
    assert passed_on(status) == told


@pytest.mark.parametrize(
    ("old", "new", "better"),
    [
        ((486, ANSWER), (480, ANSWER), 480),
        ((480, ANSWER), (486, ANSWER), 480),
        ((486, ANSWER), (603, ANSWER), 603),
        ((600, ANSWER), (404, ANSWER), 600),
        ((486, ANSWER), (408, TIMEOUT), 486),
        ((503, TRANSPORT), (486, ANSWER), 486),
        ((486, ANSWER), (302, ANSWER), 302),
        ((404, ANSWER), (302, ANSWER), 404),
        ((503, TRANSPORT), (408, TIMEOUT), 408),
    ],
)
def test_the_better_of_two_failures(old: tuple[int, FailureKind], new: tuple[int, FailureKind], better: int) -> None:
    """RFC 3261 16.7 step 6; a redirection that is not followed counts as the 480 that it becomes."""
    first, second = Failed(old[0], "", old[1]), Failed(new[0], "", new[1])
    assert better_failure(first, second).status == better
    assert better_failure(None, first) is first


@pytest.mark.parametrize(
    ("status", "kind", "cause"),
    [
        (486, ANSWER, EndCause.BUSY),
        (600, ANSWER, EndCause.BUSY),
        (480, ANSWER, EndCause.NO_ANSWER),
        (408, LOCAL, EndCause.NO_ANSWER),
        (408, TIMEOUT, EndCause.TRUNK_FAILED),
        (503, TRANSPORT, EndCause.TRUNK_FAILED),
        (503, LOCAL, EndCause.TRUNK_FAILED),
        (500, ANSWER, EndCause.TRUNK_FAILED),
        (404, ANSWER, EndCause.NO_ROUTE),
        (603, ANSWER, EndCause.REJECTED),
        (403, ANSWER, EndCause.REJECTED),
    ],
)
def test_the_cause_of_a_failure(status: int, kind: FailureKind, cause: EndCause) -> None:
    assert cause_of_failure(status, kind) is cause


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (404, EndCause.NO_ROUTE),
        (484, EndCause.NO_ROUTE),
        (503, EndCause.LIMIT),
        (486, EndCause.LIMIT),
        (480, EndCause.NO_ANSWER),
        (403, EndCause.REJECTED),
    ],
)
def test_the_cause_of_a_rejection(status: int, cause: EndCause) -> None:
    assert cause_of_rejection(status) is cause


@pytest.mark.parametrize(
    ("kind", "content", "digit"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", "5"),
        ("application/dtmf-relay", b"Duration=160\nSignal = # \n", "#"),
        ("Application/DTMF-Relay; x=y", b"signal=10\r\n", "*"),
        ("application/dtmf-relay", b"Signal=11", "#"),
        ("application/dtmf-relay", b"Signal=a", "A"),
        ("application/dtmf-relay", b"Duration=160", ""),
        ("application/dtmf-relay", b"Signal=", ""),
        ("application/dtmf-relay", b"Signal=12", ""),
        ("application/dtmf", b"7", "7"),
        ("application/dtmf", b" * \r\n", "*"),
        ("application/dtmf", b"\xff\xfe", ""),
        ("application/dtmf", b"9" * 100_000, ""),
        ("application/sdp", b"5", ""),
    ],
)
def test_digits_of_info(kind: str, content: bytes, digit: str) -> None:
    assert digit_of(Body(kind, content)) == digit


@pytest.mark.parametrize(
    ("content", "held"),
    [
        (b"m=audio 1 RTP/AVP 0\r\na=sendonly\r\n", True),
        (b"m=audio 1 RTP/AVP 0\r\na=recvonly\r\n", True),
        (b"m=audio 1 RTP/AVP 0\r\na=inactive\r\n", True),
        (b"c=IN IP4 0.0.0.0\r\nm=audio 1 RTP/AVP 0\r\n", True),
        (b"m=audio 1 RTP/AVP 0\r\na=sendrecv\r\n", False),
        (b"c=IN IP4 10.0.0.0\r\nm=audio 1 RTP/AVP 0\r\n", False),
    ],
)
def test_hold(content: bytes, held: bool) -> None:
    assert is_hold(Body("application/sdp", content)) is held
    assert not is_hold(Body("text/plain", content))


def test_bodies_and_their_headers() -> None:
    message = Response(200, "OK", [("Content-Type", "application/sdp;x=y")], b"v=0")
    assert body_of(message) == Body("application/sdp;x=y", b"v=0")
    assert body_of(Response(200, "OK", [("Content-Type", "application/sdp")])) is None
    assert body_of(Response(200, "OK", [], b"x")) == Body("application/octet-stream", b"x")
    assert body_headers(None) == []
    assert body_headers(Body("a/b", b"")) == [("Content-Type", "a/b")]


def test_which_failures_move_on() -> None:

    made = configured(
        sip_trunks=[{"id": 1, "server_address": "192.0.2.8", "failover_statuses": [486, 503]}],
        local_users=[{"number": "100", "password": "p"}],
    )
    trunk = DialTarget(RouteType.SIP_TRUNK, 1, "trunk:1", "1", "2", made.records(SipTrunk)[0])
    user = DialTarget(RouteType.LOCAL_USER, 1, "user:100", "1", "100", made.records(LocalUser)[0])
    assert may_fail_over(trunk, Failed(486, "", ANSWER))
    assert not may_fail_over(trunk, Failed(500, "", ANSWER))
    assert may_fail_over(trunk, Failed(408, "", TIMEOUT))
    assert may_fail_over(trunk, Failed(500, "", TRANSPORT))
    assert not may_fail_over(trunk, Failed(408, "", LOCAL))
    assert not may_fail_over(user, Failed(503, "", ANSWER))
