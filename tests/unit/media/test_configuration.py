"""Whom a worker listens to, from what a side signalled and where its SIP comes from."""

from __future__ import annotations

import marshal

import pytest

from app.media.configuration import inactive_configuration, session_configuration, side_configuration
from app.media.messages import SessionConfiguration, SideConfiguration, Unpacker, pack
from app.media.negotiation import Negotiation, Side, SideMedia, SideSettings
from app.media.sdp import Direction


def side(
    host: str, source: str | None = None, port: int = 4000, rtcp: tuple[str, int] | None = None, **settings: object
) -> SideConfiguration:
    rtcp_host, rtcp_port = rtcp or (host, port + 1)
    media = SideMedia(host, port, rtcp_host, rtcp_port, False, Direction.SENDRECV, source)
    return side_configuration(media, SideSettings("198.51.100.1", **settings))  # type: ignore[arg-type]


def test_what_was_signalled_and_nothing_else() -> None:
    found = side("203.0.113.5", "203.0.113.9")
    assert found.hosts == ("203.0.113.5",) and found.networks == ()
    assert found.exact == found.destination == ("203.0.113.5", 4000)
    assert found.rtcp_exact == found.rtcp_destination == ("203.0.113.5", 4001)


def test_behind_nat_the_sip_address() -> None:
    found = side("192.168.1.7", "203.0.113.9")
    assert found.hosts == ("203.0.113.9",)
    assert found.exact is None and found.rtcp_exact is None
    assert found.destination == ("203.0.113.9", 4000)


def test_behind_nat_whatever_the_local_networks() -> None:
    """A private address of somebody outside is not the one in the office."""
    assert side("192.168.1.7", "203.0.113.9", local_networks=("192.168.1.0/24",)).hosts == ("203.0.113.9",)


def test_a_private_address_of_a_peer_inside_is_believed() -> None:
    found = side("192.168.1.7", "203.0.113.9", local_networks=("192.168.1.0/24", "203.0.113.0/24"))
    assert found.hosts == ("192.168.1.7",) and found.exact == ("192.168.1.7", 4000)


def test_two_private_addresses() -> None:
    found = side("192.168.1.7", "10.0.0.9")
    assert found.hosts == ("192.168.1.7", "10.0.0.9") and found.exact == ("192.168.1.7", 4000)
    # The local networks of a new server contain every private address: they tell nothing of a router in between.
    networks = ("10.0.0.0/8", "192.168.0.0/16")
    assert side("192.168.1.7", "10.0.0.9", local_networks=networks).hosts == ("192.168.1.7", "10.0.0.9")


def test_a_host_name_is_the_sip_address() -> None:
    found = side("media.example.com", "203.0.113.9")
    assert found.hosts == ("203.0.113.9",) and found.exact is None
    assert side("media.example.com", None).hosts == ()


def test_nobody_while_nothing_is_known() -> None:
    for found in (side("", "203.0.113.9", port=0), side("203.0.113.5", "203.0.113.9", port=0)):
        assert found.hosts == () and found.destination is None and found.rtcp_destination is None


def test_rtcp_at_another_address_and_more_networks() -> None:
    found = side("203.0.113.5", "203.0.113.5", rtcp=("203.0.113.6", 7000), also_accept=("127.0.0.1/32",))
    assert found.hosts == ("203.0.113.5", "203.0.113.6")
    assert found.rtcp_exact == ("203.0.113.6", 7000)
    assert found.networks == ("127.0.0.1/32",)


SDP = b"v=0\r\nc=IN IP4 203.0.113.%d\r\nm=audio 4000 RTP/AVP 0 %d\r\na=rtpmap:%d telephone-event/8000\r\n"


def test_it_survives_the_way_to_the_worker() -> None:
    settings = (SideSettings("198.51.100.1", sip_source="203.0.113.5"), SideSettings("198.51.100.1"))
    negotiation = Negotiation(*settings, ({"198.51.100.1": 30000}, {"198.51.100.1": 30002}), 1)
    negotiation.offer(Side.CALLER, SDP % (5, 101, 101))
    negotiation.answer(Side.CALLED, SDP % (6, 96, 96))
    assert negotiation.media is not None
    learned = {(0, False): ("203.0.113.5", 4000), (0, True): ("203.0.113.5", 4001)}
    configuration = session_configuration(negotiation.media, settings, True, learned)
    again = SessionConfiguration.from_tuple(marshal.loads(marshal.dumps(configuration.to_tuple())))
    assert again == configuration
    assert again.sides[0].locked == ("203.0.113.5", 4000) and again.sides[1].locked is None
    assert (101, 96, 8000, True) in again.rules[0]
    assert again.events == ((101, 8000), (96, 8000))
    assert SessionConfiguration.from_tuple(inactive_configuration().to_tuple()) == inactive_configuration()


def test_frames_in_pieces() -> None:
    messages = [(1, "text", (1.5, None, True)), (2, b"x" * 10_000), (3,)]
    data = b"".join(pack(message) for message in messages)
    for size in (1, 3, 4, 5, 1000, len(data)):
        unpacker = Unpacker()
        found = []
        for offset in range(0, len(data), size):
            found += unpacker.feed(data[offset : offset + size])
        assert found == messages


def test_a_frame_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="frame"):
        Unpacker().feed(b"\xff\xff\xff\xff")
