"""What belongs to a call is freed when it is over, by reference counting alone: the garbage collector has no work."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import simulation.office as transfers
from simulation.crowd import BAD_WEATHER, Crowd, crowd_document, make_crowd, random_call
from simulation.raw import SERVER, Wire
from simulation.relayed import PaperControl
from simulation.test_calls import trunks
from simulation.world import Peer, World

from app.calls.call import Call
from app.calls.called_leg import CalledLeg
from app.calls.caller_leg import CallerLeg
from app.calls.referral import Referral
from app.calls.stand_in import StandIn
from app.calls.transfer import Consultation, Transfer
from app.media.control import MediaSettings
from app.records import Configuration
from app.records.document import read_document
from app.sip.dialog import Dialog
from app.sip.endpoint import MAXIMUM_FAILED_FLOWS
from app.sip.flow import Flow
from app.sip.message import Request, Response
from app.sip.transaction import Transaction

OF_A_CALL = (Call, CallerLeg, CalledLeg, Dialog, Transaction, Request, Response)


@pytest.fixture
def garbage() -> Iterator[list[Any]]:
    """The collector is off, and when it is asked it puts into this list what only it would have freed."""
    gc.collect()
    gc.disable()
    flags = gc.get_debug()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield gc.garbage
    finally:
        gc.set_debug(flags)
        gc.garbage.clear()
        gc.enable()
        gc.collect()


def peers_forget(world: World) -> None:
    """The simulated peers keep every conversation for the tests to look at, and each is in a cycle with its leg."""
    for receiver in world.receivers.values():
        peer = getattr(getattr(receiver, "__self__", None), "core", None)
        if isinstance(peer, Peer):
            for conversation in peer.conversations:
                conversation.leg = None
            peer.conversations.clear()
            peer.received.clear()
            peer._incoming.clear()


def relay_everything(crowd: Crowd) -> PaperControl:
    """From now on the audio of every call goes through the switch."""
    control = PaperControl(MediaSettings(port_first=20_000, port_last=29_999), crowd.world.clock.monotonic)
    crowd.switch.relays.attach(control)
    document: dict[str, Any] = crowd_document()
    for trunk in document["sip_trunks"]:
        trunk["relay_media"] = "yes"
    crowd.switch.configure(read_document(document, Configuration(), replace=True))
    return control


@pytest.mark.parametrize(("seed", "relayed"), [(1, False), (2, False), (3, True)])
def test_calls_of_any_kind_are_freed_without_the_collector(garbage: list[Any], seed: int, relayed: bool) -> None:
    crowd = make_crowd(seed, BAD_WEATHER)
    control = relay_everything(crowd) if relayed else None
    before = Counter(type(each).__name__ for each in gc.get_objects() if type(each) in OF_A_CALL)
    for _ in range(500):
        random_call(crowd)
        crowd.world.advance(0.2)
    crowd.world.advance(400)
    assert crowd.begun == 500
    assert not crowd.switch.calls
    if control is not None:
        assert not control.sessions
        control.link.commands.clear()
    peers_forget(crowd.world)
    after = Counter(type(each).__name__ for each in gc.get_objects() if type(each) in OF_A_CALL)
    assert after - before == Counter()
    gc.collect()
    assert Counter(type(each).__name__ for each in garbage if type(each).__module__.startswith("app.")) == Counter()


def transferred(o: transfers.Office, how: str) -> None:
    """A transfer of this kind, up to the end of all calls."""
    if how in ("blind", "busy", "the party leaves"):
        target = transfers.transfer_to(o)
        if how == "blind":
            target.respond(200, transfers.THIRD_SDP)
            o.advance()
            o.answer_reinvite(transfers.SDP)
        elif how == "busy":
            target.respond(486)
        else:
            o.up.request("BYE")
            o.advance()
            o.kitchen.ok(o.kitchen.requests("CANCEL")[0])
            target.respond(487)
    else:
        up, down = transfers.consult(o)
        if how == "attended":
            transfers.join(o, up, down)
        else:
            o.refer(transfers.replaces(up))
            o.advance()
            o.answer_reinvite(status=603)
    o.advance()
    o.statuses(o.desk)
    if how in ("blind", "attended"):
        o.up.request("BYE")
        o.advance()
    for _ in range(2):
        for call in list(o.wire.switch.calls):
            o.wire.switch.hang_up(call)
        o.advance()
        for phone in (o.desk, o.kitchen, o.wire.caller):
            transfers.end(phone)
        o.advance()
    o.over()


@pytest.mark.parametrize("how", ["blind", "busy", "the party leaves", "attended", "refused"])
def test_transferred_calls_are_freed_without_the_collector(garbage: list[Any], how: str) -> None:
    o = transfers.Office()
    transferred(o, how)
    gc.collect()
    of_a_transfer = (*OF_A_CALL, StandIn, Transfer, Consultation, Referral)
    assert Counter(type(each).__name__ for each in garbage if type(each) in of_a_transfer) == Counter()


def test_a_connection_that_ended_is_forgotten() -> None:
    """Its flow never comes again; what is remembered of failures is about those of the last second."""
    wire = Wire(trunks())
    endpoint = wire.switch.endpoint
    for number in range(1, 50):
        endpoint.flow_failed(Flow("tcp", *SERVER, "192.0.2.8", 5060, number))
        wire.advance(1.5)
    assert len(endpoint._failed_until) == 1
    for number in range(1, 2 * MAXIMUM_FAILED_FLOWS):
        endpoint.flow_failed(Flow("tcp", *SERVER, "192.0.2.8", 5060, number))
    assert len(endpoint._failed_until) == MAXIMUM_FAILED_FLOWS
