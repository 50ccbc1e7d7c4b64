"""Dialogs: how they are made, what their requests look like, what they take and refuse (RFC 3261 12, 13, RFC 6141)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from support.transactions import make_request, make_response

from app.errors import LocalError, RemoteError
from app.sip.dialog import (
    MAXIMUM_FORKS,
    AcceptedRetransmission,
    Dialog,
    DialogId,
    DialogRole,
    DialogSet,
    DialogState,
)
from app.sip.message import HeaderError, Request, Response
from app.sip.transaction_tables import Timing

PEER_CONTACT = ("Contact", "<sip:peer@198.51.100.7:5080;transport=udp>")
OUR_CONTACT = ("Contact", "<sip:trunkline@192.0.2.1>")
ROUTES = (
    ("Record-Route", "<sip:p1.example;lr>"),
    ("Record-Route", '"Two" <sip:p2.example;lr>;x=y, <sip:p3.example;lr>'),
)


def our_invite(**arguments: object) -> Request:
    """An INVITE of ours: From and To as `make_request` writes them."""
    return make_request("INVITE", **{"headers": [OUR_CONTACT], "sequence": 10, "from_tag": "us", **arguments})  # type: ignore[arg-type]


def uac(status: int = 200, headers: Sequence[tuple[str, str]] = (PEER_CONTACT,), to_tag: str | None = "them") -> Dialog:
    """A dialog that we began."""
    invite = our_invite()
    return Dialog.as_uac(invite, make_response(invite, status, to_tag, headers))


def their_invite(**arguments: object) -> Request:
    """An INVITE of the peer's."""
    return make_request("INVITE", **{"headers": [PEER_CONTACT], "sequence": 100, **arguments})  # type: ignore[arg-type]


def uas(**arguments: object) -> Dialog:
    """A dialog that the peer began."""
    return Dialog.as_uas(their_invite(**arguments), "us", OUR_CONTACT[1])


def in_dialog(method: str, sequence: int, headers: Sequence[tuple[str, str]] = (), tag: str = "theirs") -> Request:
    """A request of the peer's inside the dialog of `uas()`."""
    return make_request(method, to_tag="us", from_tag=tag, sequence=sequence, headers=headers)


def own_response(dialog: Dialog, request: Request, status: int, headers: Sequence[tuple[str, str]] = ()) -> Response:
    """The peer's answer to a request of ours."""
    request.prepend("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx")
    return make_response(request, status, dialog.id.remote_tag, headers)


# --- making dialogs --------------------------------------------------------------------------------------------------


def test_uac_dialog() -> None:
    """12.1.2"""
    dialog = uac(headers=[PEER_CONTACT, *ROUTES])
    assert dialog.id == DialogId("call@192.0.2.20", "us", "them")
    assert dialog.role is DialogRole.UAC
    assert dialog.state is DialogState.CONFIRMED
    assert str(dialog.remote_target) == "sip:peer@198.51.100.7:5080;transport=udp"
    assert [str(route.uri) for route in dialog.route_set] == [
        "sip:p3.example;lr",
        "sip:p2.example;lr",
        "sip:p1.example;lr",
    ]
    assert (dialog.local_sequence, dialog.remote_sequence) == (10, None)
    assert dialog.local_address == '"Caller" <sip:200@192.0.2.20>;tag=us'
    assert dialog.remote_address == "<sip:135550@192.0.2.1>;tag=them"
    assert uac(180).state is DialogState.EARLY


def test_uas_dialog() -> None:
    """12.1.1"""
    dialog = uas(headers=[PEER_CONTACT, *ROUTES])
    assert dialog.id == DialogId("call@192.0.2.20", "us", "theirs")
    assert dialog.role is DialogRole.UAS
    assert dialog.state is DialogState.EARLY
    assert str(dialog.remote_target) == "sip:peer@198.51.100.7:5080;transport=udp"
    assert [str(route.uri) for route in dialog.route_set] == [
        "sip:p1.example;lr",
        "sip:p2.example;lr",
        "sip:p3.example;lr",
    ]
    assert (dialog.local_sequence, dialog.remote_sequence) == (0, 100)
    assert dialog.local_address == "<sip:135550@192.0.2.1>;tag=us"
    assert dialog.remote_address == '"Caller" <sip:200@192.0.2.20>;tag=theirs'
    dialog.confirm()
    assert dialog.state is DialogState.CONFIRMED


def test_an_invite_of_rfc_2543_without_contact_has_its_from_as_target() -> None:
    request = make_request()
    request.replace("From", "<sip:200@192.0.2.20;user=phone>")
    dialog = Dialog.as_uas(request, "us", OUR_CONTACT[1])
    assert str(dialog.remote_target) == "sip:200@192.0.2.20;user=phone"
    assert dialog.id.remote_tag == ""


@pytest.mark.parametrize("headers", [[], [("Contact", "*")], [("Contact", "<tel:+4930123>")]])
def test_an_invite_without_usable_contact_makes_no_dialog(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(RemoteError) as caught:
        uas(headers=headers)
    assert caught.value.status == 400


def test_a_2xx_without_usable_contact_leaves_the_request_uri() -> None:
    """Deviation: the call can at least be acknowledged and ended."""
    for headers in ([], [("Contact", "<sip:")], [("Contact", "*")], [("Contact", "<mailto:x@y>")]):
        assert str(uac(headers=headers).remote_target) == "sip:135550@192.0.2.1"


def test_a_2xx_with_unreadable_record_route_makes_a_dialog_without() -> None:
    assert uac(headers=[PEER_CONTACT, ("Record-Route", "<sip:")]).route_set == ()
    with pytest.raises(HeaderError):
        uas(headers=[PEER_CONTACT, ("Record-Route", "<sip:")])


def test_peers_of_rfc_2543_have_no_tags() -> None:
    """12.1.1, 12.1.2: the missing tag counts as empty."""
    assert uac(to_tag=None).id.remote_tag == ""
    invite = their_invite()
    invite.replace("From", "<sip:200@192.0.2.20>")
    dialog = Dialog.as_uas(invite, "us", OUR_CONTACT[1])
    assert dialog.id.remote_tag == ""
    bye = in_dialog("BYE", 101)
    bye.replace("From", "<sip:200@192.0.2.20>")
    assert dialog.receive_request(bye) is None
    assert "tag" not in (dialog.create_request("BYE").get("To") or "tag")


@pytest.mark.parametrize(
    ("uri", "over_tls", "secure"),
    [("sips:a@b", True, True), ("sips:a@b", False, False), ("sip:a@b", True, False)],
)
def test_secure(uri: str, over_tls: bool, secure: bool) -> None:
    """12.1.1, 12.1.2"""
    assert Dialog.as_uas(their_invite(uri=uri), "us", "", over_tls=over_tls).secure is secure
    invite = our_invite(uri=uri)
    assert Dialog.as_uac(invite, make_response(invite, 200), over_tls=over_tls).secure is secure


def test_ids_of_messages() -> None:
    assert DialogId.of_request(in_dialog("BYE", 1)) == uas().id
    invite = our_invite()
    assert DialogId.of_response(make_response(invite, 200, "them")) == uac().id


# --- requests of ours ------------------------------------------------------------------------------------------------


def test_request_of_a_uac() -> None:
    """12.2.1.1"""
    bye = uac().create_request("BYE", [("Reason", "Q.850;cause=16")])
    assert bye.to_bytes() == (
        b"BYE sip:peer@198.51.100.7:5080;transport=udp SIP/2.0\r\n"
        b"Max-Forwards: 70\r\n"
        b'From: "Caller" <sip:200@192.0.2.20>;tag=us\r\n'
        b"To: <sip:135550@192.0.2.1>;tag=them\r\n"
        b"Call-ID: call@192.0.2.20\r\n"
        b"CSeq: 11 BYE\r\n"
        b"Reason: Q.850;cause=16\r\n"
        b"Content-Length: 0\r\n\r\n"
    )


def test_request_of_a_uas() -> None:
    """12.2.1.1: From is what was To, and our own sequence begins."""
    dialog = uas()
    info = dialog.create_request("INFO", [("Content-Type", "application/dtmf-relay")], b"Signal=1")
    assert info.get("From") == "<sip:135550@192.0.2.1>;tag=us"
    assert info.get("To") == '"Caller" <sip:200@192.0.2.20>;tag=theirs'
    assert info.get("CSeq") == "1 INFO"
    assert info.body == b"Signal=1"
    assert info.get("Contact") is None
    assert dialog.create_request("BYE").cseq.number == 2


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"])
def test_target_refresh_requests_have_our_contact(method: str) -> None:
    """12.2.1.1, RFC 3311 5.1"""
    dialog = uas()
    assert dialog.create_request(method).get_all("Contact") == [OUR_CONTACT[1]]
    other = ("Contact", "<sip:other@192.0.2.1>")
    assert dialog.create_request(method, [other]).get_all("Contact") == [other[1]]


def test_loose_routing() -> None:
    """12.2.1.1"""
    dialog = uac(headers=[PEER_CONTACT, *ROUTES])
    request = dialog.create_request("BYE")
    assert request.uri_text == "sip:peer@198.51.100.7:5080;transport=udp"
    assert request.get_all("Route") == [
        "<sip:p3.example;lr>",
        '"Two" <sip:p2.example;lr>;x=y',
        "<sip:p1.example;lr>",
    ]
    assert dialog.next_hop().host == "p3.example"


def test_strict_routing() -> None:
    """12.2.1.1: the first route becomes the Request-URI, the target the last route."""
    routes = [("Record-Route", "<sip:far.example;lr>"), ("Record-Route", "<sip:near.example;method=INVITE?x=y>")]
    dialog = uac(headers=[PEER_CONTACT, *routes])
    request = dialog.create_request("BYE")
    assert request.uri_text == "sip:near.example"
    assert request.get_all("Route") == ["<sip:far.example;lr>", "<sip:peer@198.51.100.7:5080;transport=udp>"]
    assert dialog.next_hop().host == "near.example"
    assert dialog.create_ack(10).uri_text == "sip:near.example"


def test_what_may_not_stand_in_a_request_uri_is_left_out() -> None:
    """19.1.1"""
    dialog = uac(headers=[("Contact", "<sip:a@b;user=phone;method=BYE;transport=tcp?Subject=x>")])
    assert dialog.create_request("BYE").uri_text == "sip:a@b;user=phone;transport=tcp"


def test_next_hop_without_routes_is_the_target() -> None:
    assert uac().next_hop().host == "198.51.100.7"


def test_ack_for_a_2xx() -> None:
    """13.2.2.4: the number of the INVITE, and no number is used up."""
    dialog = uac(headers=[PEER_CONTACT, ("Record-Route", "<sip:p.example;lr>")])
    ack = dialog.create_ack(10, [("Content-Type", "application/sdp")], b"v=0")
    assert ack.to_bytes() == (
        b"ACK sip:peer@198.51.100.7:5080;transport=udp SIP/2.0\r\n"
        b"Max-Forwards: 70\r\n"
        b"Route: <sip:p.example;lr>\r\n"
        b'From: "Caller" <sip:200@192.0.2.20>;tag=us\r\n'
        b"To: <sip:135550@192.0.2.1>;tag=them\r\n"
        b"Call-ID: call@192.0.2.20\r\n"
        b"CSeq: 10 ACK\r\n"
        b"Content-Type: application/sdp\r\n"
        b"Content-Length: 3\r\n\r\nv=0"
    )
    assert dialog.create_request("INVITE").cseq.number == 11


def test_misuse_is_a_local_error() -> None:
    dialog = uac()
    for method in ("ACK", "CANCEL"):
        with pytest.raises(LocalError):
            dialog.create_request(method)
    dialog.local_sequence = 2**31 - 1
    with pytest.raises(LocalError):
        dialog.create_request("BYE")


# --- responses to requests of ours -----------------------------------------------------------------------------------


def test_the_2xx_confirms_and_its_route_set_and_target_count() -> None:
    """13.2.2.4"""
    invite = our_invite()
    dialog = Dialog.as_uac(invite, make_response(invite, 180, "them", [("Record-Route", "<sip:early.example;lr>")]))
    assert str(dialog.remote_target) == "sip:135550@192.0.2.1"
    dialog.create_request("PRACK")
    dialog.receive_response(
        make_response(invite, 200, "them", [PEER_CONTACT, ("Record-Route", "<sip:final.example;lr>")])
    )
    assert dialog.state is DialogState.CONFIRMED
    assert [str(route) for route in dialog.route_set] == ["<sip:final.example;lr>"]
    assert dialog.remote_target.user == "peer"
    assert dialog.local_sequence == 11
    dialog.receive_response(make_response(invite, 200, "them", [("Record-Route", "<sip:late.example;lr>")]))
    assert [str(route) for route in dialog.route_set] == ["<sip:final.example;lr>"]


@pytest.mark.parametrize("status", [302, 404, 408, 481, 487, 603])
def test_a_failed_invite_ends_its_early_dialog(status: int) -> None:
    invite = our_invite()
    dialog = Dialog.as_uac(invite, make_response(invite, 180, "them"))
    dialog.receive_response(make_response(invite, status, "them"))
    assert dialog.state is DialogState.TERMINATED


def test_a_failed_cancel_says_nothing() -> None:
    invite = our_invite()
    dialog = Dialog.as_uac(invite, make_response(invite, 180, "them"))
    cancel = make_request("CANCEL", sequence=10, from_tag="us")
    dialog.receive_response(make_response(cancel, 481, "them"))
    assert dialog.state is DialogState.EARLY


@pytest.mark.parametrize(("status", "gone"), [(408, True), (481, True), (488, False), (491, False), (500, False)])
@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "INFO"])
def test_408_and_481_end_the_dialog(method: str, status: int, gone: bool) -> None:
    """12.2.1.2"""
    dialog = uac()
    dialog.receive_response(own_response(dialog, dialog.create_request(method), status))
    assert dialog.state is (DialogState.TERMINATED if gone else DialogState.CONFIRMED)


@pytest.mark.parametrize(
    ("method", "status", "headers", "refreshed"),
    [
        ("INVITE", 200, (), True),
        ("UPDATE", 200, (), True),
        ("INFO", 200, (), False),
        ("INVITE", 488, (), False),
        ("INVITE", 180, (), False),
        ("INVITE", 183, (("RSeq", "1"),), True),
    ],
)
def test_answers_refresh_the_target(
    method: str, status: int, headers: tuple[tuple[str, str], ...], refreshed: bool
) -> None:
    """12.2.1.2, and RFC 6141 4 for reliable provisional responses"""
    dialog = uac()
    moved = ("Contact", "<sip:moved@203.0.113.9>")
    dialog.receive_response(own_response(dialog, dialog.create_request(method), status, [moved, *headers]))
    assert (dialog.remote_target.user == "moved") is refreshed


def test_an_unusable_contact_changes_nothing() -> None:
    dialog = uac()
    for headers in ([], [("Contact", "<sip:")], [("Contact", "*")]):
        dialog.receive_response(own_response(dialog, dialog.create_request("UPDATE"), 200, headers))
        dialog.refresh_target(make_response(our_invite(), 200, "them", headers))
    assert dialog.remote_target.user == "peer"


# --- requests of the peer --------------------------------------------------------------------------------------------


def test_sequence_numbers() -> None:
    """12.2.2: lower or equal is out of order (500), gaps are not."""
    dialog = uas()
    assert dialog.receive_request(in_dialog("INFO", 101)) is None
    assert dialog.receive_request(in_dialog("INFO", 5000)) is None
    for sequence in (5000, 4999, 100, 0):
        refusal = dialog.receive_request(in_dialog("INFO", sequence))
        assert refusal is not None
        assert refusal.status == 500
    assert dialog.remote_sequence == 5000
    assert dialog.receive_request(in_dialog("INFO", 5001)) is None


def test_the_first_request_of_the_callee_sets_the_sequence() -> None:
    """12.2.2: empty until then, whatever it is."""
    dialog = uac()
    request = make_request("INFO", to_tag="us", from_tag="them", sequence=0)
    assert dialog.receive_request(request) is None
    assert dialog.remote_sequence == 0
    refusal = dialog.receive_request(make_request("INFO", to_tag="us", from_tag="them", sequence=0))
    assert refusal is not None


def test_ack_and_cancel_have_the_number_of_their_invite() -> None:
    dialog = uas()
    assert dialog.receive_request(in_dialog("INVITE", 101, [PEER_CONTACT])) is None
    assert dialog.receive_request(in_dialog("ACK", 101)) is None
    assert dialog.receive_request(in_dialog("CANCEL", 101)) is None
    assert dialog.receive_request(in_dialog("ACK", 100)) is None
    assert dialog.remote_sequence == 101


@pytest.mark.parametrize(
    "request_",
    [
        in_dialog("BYE", 101, tag="someone"),
        make_request("BYE", to_tag="another", sequence=101),
        make_request("BYE", to_tag="us", call_id="other", sequence=101),
        make_request("BYE", sequence=101),
    ],
)
def test_requests_of_another_dialog_get_481(request_: Request) -> None:
    dialog = uas()
    refusal = dialog.receive_request(request_)
    assert refusal is not None
    assert refusal.status == 481
    assert dialog.state is not DialogState.TERMINATED
    assert dialog.remote_sequence == 100


def test_bye_terminates_and_only_another_bye_is_in_order_then() -> None:
    """15.1.2, RFC 5407 3.1.3"""
    dialog = uas()
    assert dialog.receive_request(in_dialog("BYE", 101)) is None
    assert dialog.state is DialogState.TERMINATED
    assert dialog.receive_request(in_dialog("BYE", 102)) is None
    refusal = dialog.receive_request(in_dialog("INFO", 103))
    assert refusal is not None
    assert refusal.status == 481


@pytest.mark.parametrize(("method", "refreshes"), [("INVITE", True), ("UPDATE", True), ("INFO", False)])
def test_requests_refresh_the_target(method: str, refreshes: bool) -> None:
    """12.2.2, RFC 3311 5.2"""
    dialog = uas()
    assert dialog.receive_request(in_dialog(method, 101, [("Contact", "<sip:moved@203.0.113.9>")])) is None
    assert (dialog.remote_target.user == "moved") is refreshes
    assert dialog.receive_request(in_dialog(method, 102)) is None
    assert (dialog.remote_target.user == "moved") is refreshes


def test_a_bad_contact_is_refused() -> None:
    dialog = uas()
    refusal = dialog.receive_request(in_dialog("INVITE", 101, [("Contact", "<sip:")]))
    assert refusal is not None
    assert refusal.status == 400
    assert dialog.remote_target.user == "peer"


def test_a_refused_refresh_is_undone() -> None:
    """12.2.2: if the request is rejected, none of the state changes are performed."""
    dialog = uas()
    moved = in_dialog("INVITE", 101, [("Contact", "<sip:moved@203.0.113.9>")])
    dialog.receive_request(moved)
    dialog.undo_refresh(moved)
    assert dialog.remote_target.user == "peer"
    dialog.undo_refresh(moved)
    assert dialog.remote_target.user == "peer"


def test_a_later_refresh_stays() -> None:
    """RFC 6141 4: an UPDATE within the re-INVITE is not undone with it."""
    dialog = uas()
    invite = in_dialog("INVITE", 101, [("Contact", "<sip:moved@203.0.113.9>")])
    dialog.receive_request(invite)
    dialog.receive_request(in_dialog("UPDATE", 102, [("Contact", "<sip:again@203.0.113.10>")]))
    dialog.undo_refresh(invite)
    assert dialog.remote_target.user == "again"


def test_create_response() -> None:
    """12.1.1: tag, Contact and Record-Route; 13.3.1: the 2xx confirms."""
    invite = their_invite(headers=[PEER_CONTACT, ("Record-Route", "<sip:p.example;lr>")])
    dialog = Dialog.as_uas(invite, "us", OUR_CONTACT[1])
    trying = dialog.create_response(invite, 100)
    assert trying.to.tag is None
    assert trying.get("Contact") is None
    ringing = dialog.create_response(invite, 180, headers=[("Server", "x")])
    assert ringing.to.tag == "us"
    assert ringing.get_all("Contact") == [OUR_CONTACT[1]]
    assert ringing.get("Record-Route") == "<sip:p.example;lr>"
    assert ringing.get("Server") == "x"
    assert dialog.state is DialogState.EARLY
    answered = dialog.create_response(invite, 200, headers=[("Contact", "<sip:mine@x>")], body=b"v=0")
    assert answered.get_all("Contact") == ["<sip:mine@x>"]
    assert answered.body == b"v=0"
    assert dialog.state is DialogState.CONFIRMED
    assert dialog.create_response(in_dialog("BYE", 101), 200).get("Contact") is None


def test_create_response_of_a_failure() -> None:
    invite = their_invite()
    dialog = Dialog.as_uas(invite, "us", OUR_CONTACT[1])
    refused = dialog.create_response(invite, 486, "Busy")
    assert (refused.status, refused.reason, refused.get("Contact")) == (486, "Busy", None)
    assert dialog.state is DialogState.TERMINATED
    confirmed = uas()
    confirmed.confirm()
    again = in_dialog("INVITE", 101, [("Contact", "<sip:moved@203.0.113.9>")])
    confirmed.receive_request(again)
    confirmed.create_response(again, 488)
    assert confirmed.state is DialogState.CONFIRMED
    assert confirmed.remote_target.user == "peer"


# --- forks -----------------------------------------------------------------------------------------------------------


def test_each_tag_is_a_dialog() -> None:
    """12.1.2, 13.2.2.4"""
    invite = our_invite()
    dialogs = DialogSet(invite)
    assert dialogs.receive_response(make_response(invite, 100)) is None
    assert dialogs.receive_response(make_response(invite, 180, None)) is None
    one = dialogs.receive_response(make_response(invite, 180, "one"))
    two = dialogs.receive_response(make_response(invite, 183, "two"))
    assert one is not None
    assert two is not None
    assert one is not two
    assert dialogs.receive_response(make_response(invite, 183, "one")) is one
    assert dialogs.receive_response(make_response(invite, 200, "two", [PEER_CONTACT])) is two
    three = dialogs.receive_response(make_response(invite, 200, "three"))
    assert three is not None
    assert [one.state, two.state, three.state] == [
        DialogState.EARLY,
        DialogState.CONFIRMED,
        DialogState.CONFIRMED,
    ]
    dialogs.expire()
    assert [dialog.state for dialog in dialogs.dialogs.values()] == [
        DialogState.TERMINATED,
        DialogState.CONFIRMED,
        DialogState.CONFIRMED,
    ]


def test_a_failure_ends_every_early_dialog() -> None:
    """13.2.2.3"""
    invite = our_invite()
    dialogs = DialogSet(invite)
    for tag in ("one", "two"):
        dialogs.receive_response(make_response(invite, 180, tag))
    assert dialogs.receive_response(make_response(invite, 486, "one")) is None
    assert all(dialog.state is DialogState.TERMINATED for dialog in dialogs.dialogs.values())


def test_forks_are_bounded() -> None:
    invite = our_invite()
    dialogs = DialogSet(invite)
    made = [
        dialogs.receive_response(make_response(invite, 180 + number % 2 * 20, f"tag{number}")) for number in range(99)
    ]
    assert len(dialogs.dialogs) == MAXIMUM_FORKS
    assert sum(dialog is not None for dialog in made) == MAXIMUM_FORKS
    assert dialogs.receive_response(make_response(invite, 200, "tag0")) is made[0]


# --- repeating 2xx ---------------------------------------------------------------------------------------------------


def times(schedule: AcceptedRetransmission, late: float = 0.0) -> list[float]:
    """When the response is repeated, and at last when it is given up."""
    found = []
    while True:
        now = schedule.next_at + late
        found.append(round(now, 6))
        if schedule.is_over(now):
            return found
        schedule = schedule.after(now)


def test_a_2xx_is_repeated_with_growing_intervals() -> None:
    """13.3.1.4: T1, doubled up to T2, for 64*T1."""
    assert times(AcceptedRetransmission.begin(0.0)) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5, 32.0]


def test_late_wake_ups_do_not_bunch() -> None:
    found = times(AcceptedRetransmission.begin(100.0), late=0.3)
    assert found[:4] == [100.8, 102.1, 104.4, 108.7]
    assert found[-1] >= 132.0


def test_a_reliable_provisional_response_has_no_longest_interval() -> None:
    """RFC 3262 3"""
    schedule = AcceptedRetransmission.begin(0.0, longest_interval=math.inf)
    assert times(schedule) == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 32.0]


def test_the_schedule_follows_the_timing() -> None:
    schedule = AcceptedRetransmission.begin(10.0, Timing(t1=0.1, t2=0.2))
    assert schedule.give_up_at == pytest.approx(16.4)
    assert times(schedule)[:4] == [10.1, 10.3, 10.5, 10.7]
