"""Calls that come back to where they were sent from are ended (RFC 3261 8.2.2.2, 16.3, 20.22, RFC 5393)."""

from __future__ import annotations

import pytest
from simulation.raw import SERVER, RawPeer, Wire, calm_world
from simulation.test_calls import trunks
from simulation.world import Peer, Plan, World

from app.sip.flow import Flow
from app.sip.message import Request, Response, parse

OWN = f"{SERVER[0]}:{SERVER[1]}"


class Proxy:
    """Sends every request back to the server, as a proxy does: its own Via on top, Max-Forwards one less."""

    def __init__(self, world: World, host: str, *, request_uri: str = "") -> None:
        self.world = world
        self.host = host
        self.request_uri = request_uri
        self.statuses: list[int] = []
        self.forwarded = 0
        world.receivers[host, 5060] = self._receive

    def _receive(self, data: bytes, source: Flow) -> None:
        message = parse(data)
        if isinstance(message, Response):
            self.statuses.append(message.status)
            message.headers.remove(next(header for header in message.headers if header[0] == "Via"))
            answered = Response(message.status, message.reason, message.headers, message.body)
            self.world.send(Flow("udp", self.host, 5060, *SERVER), answered.to_bytes())
            return
        self.forwarded += message.method == "INVITE"
        headers = [(name, str(int(value) - 1) if name == "Max-Forwards" else value) for name, value in message.headers]
        branch = f"{message.via.branch}-again"
        again = Request(message.method, self.request_uri or message.uri_text, headers, message.body)
        again.prepend("Via", f"SIP/2.0/UDP {self.host}:5060;branch={branch}")
        self.world.send(Flow("udp", self.host, 5060, *SERVER), again.to_bytes())


def test_an_invite_that_a_proxy_sends_back_is_a_loop() -> None:
    world = calm_world()
    switch = world.switch(trunks())
    proxy = Proxy(world, "192.0.2.8")
    caller = Peer(world, "192.0.2.7")
    conversation = caller.call("135550", Plan())
    world.advance(60)
    assert proxy.forwarded == 1
    assert 482 in proxy.statuses
    assert conversation.status == 482
    (record,) = world.recorder.ended
    assert record.attempts[-1].status == 482
    assert switch.counters.total == 0


def test_a_spiral_goes_on_until_max_forwards_ends_it() -> None:
    """A proxy that sends the call back to another address of ours: legal once, and never without an end."""
    world = calm_world()
    document = trunks(max_outgoing_calls=100, max_incoming_calls=100)
    switch = world.switch(document)
    proxy = Proxy(world, "192.0.2.8", request_uri=f"sip:135551@{OWN}")
    caller = Peer(world, "192.0.2.7")
    conversation = caller.call("135550", Plan(), headers=())
    world.advance(200)
    # 70 hops, of which each round through proxy and server takes two.
    assert proxy.forwarded == 35
    assert 483 in proxy.statuses
    assert conversation.status == 483
    assert not switch.calls
    assert switch.counters.total == 0


@pytest.mark.parametrize(
    ("via", "status"),
    [
        (f"SIP/2.0/UDP {OWN};branch=z9hG4bKfrom-long-ago", 482),
        (f"SIP/2.0/UDP {SERVER[0]};branch=z9hG4bKfrom-long-ago", 482),
        (f"SIP/2.0/UDP {OWN};branch=z9hG4bKx;received={SERVER[0]}", 482),
        (f"SIP/2.0/UDP {OWN};branch=z9hG4bKx;received=203.0.113.77", 0),
        (f"SIP/2.0/UDP {SERVER[0]}:5062;branch=z9hG4bKx", 0),
        ("SIP/2.0/UDP 203.0.113.77:5060;branch=z9hG4bKx", 0),
    ],
    ids=["own", "own-without-port", "own-received", "same-address-elsewhere", "other-port", "other"],
)
def test_our_own_via_below_the_top_is_a_loop(via: str, status: int) -> None:
    w = Wire(trunks())
    w.caller.invite("135550", headers=[("Via", via)])
    w.advance()
    assert w.caller.statuses() == ([status] if status else [])
    assert len(w.carrier.requests("INVITE")) == (0 if status else 1)


@pytest.mark.parametrize(
    ("header", "status"),
    [(("Max-Forwards", "0"), 483), (("Max-Breadth", "0"), 440), (("Max-Breadth", "1"), 0)],
    ids=["no-hops", "no-breadth", "breadth"],
)
def test_hops_and_breadth_that_are_used_up_end_a_call(header: tuple[str, str], status: int) -> None:
    w = Wire(trunks())
    invite = w.caller.invite("135550", send=False).invite
    invite.replace("Max-Forwards", header[1]) if header[0] == "Max-Forwards" else invite.add(*header)
    w.caller.send(invite)
    w.advance()
    assert w.caller.statuses() == ([status] if status else [])
    assert [each.get("Max-Breadth") for each in w.carrier.requests("INVITE")] == ([] if status else ["1"])


def test_phones_of_a_user_share_the_breadth() -> None:
    """RFC 5393: each phone gets its part of what the call may still branch into."""
    world = calm_world()
    world.switch(trunks())
    phones = [Peer(world, f"10.0.0.{number}") for number in (101, 102, 103)]
    for phone in phones:
        phone.register("100", "secret100")
    world.advance(5)
    caller = RawPeer(world, "192.0.2.7")
    for asked, shares in (((), ["20"] * 3), ((("Max-Breadth", "7"),), ["2"] * 3), ((("Max-Breadth", "2"),), ["1"] * 2)):
        for phone in phones:
            phone.received.clear()
        dialog = caller.invite("100", headers=asked)
        world.advance(0.1)
        rung = [each for phone in phones for each in phone.received if each.method == "INVITE"]
        assert [each.get("Max-Breadth") for each in rung] == shares
        dialog.cancel()
        world.advance(60)
