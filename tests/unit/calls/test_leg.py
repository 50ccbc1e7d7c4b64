"""What a leg decides by itself: ways inside a dialog, statuses that are passed on, bodies."""

from __future__ import annotations

import pytest

from app.calls.leg import body_headers, body_of
from app.calls.leg_events import Body
from app.calls.next_hop import next_hop
from app.calls.refusals import passed_on
from app.sip.flow import Flow
from app.sip.message import Response


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


def test_bodies_and_their_headers() -> None:
    message = Response(200, "OK", [("Content-Type", "application/sdp;x=y")], b"v=0")
    assert body_of(message) == Body("application/sdp;x=y", b"v=0")
    assert body_of(Response(200, "OK", [("Content-Type", "application/sdp")])) is None
    assert body_of(Response(200, "OK", [], b"x")) == Body("application/octet-stream", b"x")
    assert body_headers(None) == []
    assert body_headers(Body("a/b", b"")) == [("Content-Type", "a/b")]
