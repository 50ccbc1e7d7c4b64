"""The registrar alone: what it keeps of a binding, for how long, and whom it tells."""

from __future__ import annotations

from support.calling import NotedEndpoint, Ticking, register_request

from app.calls.registrar import Registrar, RegistrarLimits
from app.sip.flow import Flow
from app.sip.message import Request


class Registry:
    def __init__(self) -> None:
        self.time = Ticking()
        self.registrar = Registrar(NotedEndpoint(self.time), self.time.clock)
        self.changes: list[str] = []
        self.registrar.on_change = self.changes.append
        self.sequence = 0

    def register(
        self,
        number: str = "100",
        contact: str = "<sip:100@10.0.0.9>",
        *headers: tuple[str, str],
        host: str = "10.0.0.9",
        port: int = 5060,
        call_id: str = "c",
    ) -> None:
        self.sequence += 1
        agent = ("User-Agent", "U" * 200)
        asked = register_request(number, contact, self.sequence, agent, *headers, call_id=call_id)
        assert isinstance(asked, Request)
        self.registrar.register((), asked, Flow("udp", "10.0.0.5", 5060, host, port), number)  # type: ignore[arg-type]


def test_what_is_kept() -> None:
    r = Registry()
    r.register("100", "<sip:100@10.0.0.9:5070;ob>", ("Expires", "100"))
    (binding,) = r.registrar.bindings("100")
    assert binding.contact == "sip:100@10.0.0.9:5070;ob"
    assert binding.flow.remote_host == "10.0.0.9"
    assert binding.expires_at == r.time.now + 100
    assert len(binding.user_agent) == 80
    assert r.registrar.registered == 1
    assert r.registrar.bindings("101") == ()


def test_who_is_a_source_and_for_how_long() -> None:
    r = Registry()
    r.register("100", "<sip:100@10.0.0.9>")
    r.register("101", "<sip:101@10.0.0.9>", call_id="d")
    r.register("100", "<sip:100@10.0.0.8>", call_id="e", host="10.0.0.8", port=40000)
    assert r.registrar.is_source("10.0.0.9", 5060)
    assert r.registrar.is_source("10.0.0.8", 40000)
    assert not r.registrar.is_source("10.0.0.8", 5060)
    r.registrar.forget("100")
    assert r.registrar.is_source("10.0.0.9", 5060)
    assert not r.registrar.is_source("10.0.0.8", 40000)
    r.registrar.forget("101")
    assert not r.registrar._sources
    assert len(r.time.deadlines) == 0


def test_refreshing_leaves_one_timer_and_one_source() -> None:
    r = Registry()
    for _ in range(20):
        r.register("100", "<sip:100@10.0.0.9>", ("Expires", "100"))
        r.time.advance(50)
    assert len(r.time.deadlines) == 1
    assert r.registrar._sources == {("10.0.0.9", 5060): {"100": 1}}
    r.time.advance(60)
    assert r.registrar.registered == 0
    assert not r.registrar._sources
    assert r.changes == ["100"] * 21


def test_a_refresh_for_a_shorter_time_ends_sooner() -> None:
    r = Registry()
    r.register("100", "<sip:100@10.0.0.9>", ("Expires", "1000"))
    r.register("100", "<sip:100@10.0.0.9>", ("Expires", "60"))
    assert r.registrar.bindings("100")[0].expires_at == r.time.now + 60
    r.time.advance(59)
    assert r.registrar.count("100") == 1
    r.time.advance(2)
    assert r.registrar.count("100") == 0
    assert len(r.time.deadlines) == 0


def test_a_refresh_takes_what_is_new_and_makes_the_binding_the_newest() -> None:
    r = Registry()
    r.register("100", "<sip:100@10.0.0.9>", ("Expires", "100"))
    r.register("100", "<sip:100@10.0.0.8>", ("Expires", "100"), host="10.0.0.8", call_id="d")
    r.time.advance(10)
    r.register("100", "<sip:100@10.0.0.9>", ("Expires", "100"), call_id="e")
    older, newest = r.registrar.bindings("100")
    assert (older.contact, older.expires_at) == ("sip:100@10.0.0.8", r.time.now + 90)
    assert (newest.contact, newest.expires_at) == ("sip:100@10.0.0.9", r.time.now + 100)
    assert (newest.call_id, newest.sequence) == ("e", 3)
    r.time.advance(91)
    assert [binding.contact for binding in r.registrar.bindings("100")] == ["sip:100@10.0.0.9"]
    r.time.advance(10)
    assert r.registrar.registered == 0


def test_a_refused_refresh_changes_nothing() -> None:
    r = Registry()
    r.register("100", "<sip:100@10.0.0.9>", ("Expires", "100"))
    (before,) = r.registrar.bindings("100")
    until = before.expires_at
    r.time.advance(10)
    r.register("100", "<sip:100@10.0.0.9>", ("Expires", "5"))
    r.register("100", "<sip:100@10.0.0.9>, <tel:100>", ("Expires", "100"))
    (after,) = r.registrar.bindings("100")
    assert (after.expires_at, after.sequence) == (until, 1)


def test_a_refresh_over_another_way_is_heard_from_there() -> None:
    r = Registry()
    r.register("100", "<sip:100@10.0.0.9>", ("Expires", "100"))
    r.register("100", "<sip:100@10.0.0.9>", ("Expires", "100"), port=40000)
    (binding,) = r.registrar.bindings("100")
    assert binding.flow.remote_port == 40000
    assert r.registrar._sources == {("10.0.0.9", 40000): {"100": 1}}
    assert len(r.time.deadlines) == 1


def test_limits_hold_from_when_they_are_set() -> None:
    r = Registry()
    r.registrar.limits = RegistrarLimits(60, 300)
    r.register("100", "<sip:100@10.0.0.9>", ("Expires", "59"))
    assert r.registrar.count("100") == 0
    r.register("100", "<sip:100@10.0.0.9>", ("Expires", "301"))
    assert r.registrar.bindings("100")[0].expires_at == r.time.now + 300


def test_forgetting_somebody_unknown_is_nothing() -> None:
    r = Registry()
    r.registrar.forget("999")
    assert r.changes == []


def test_many_users_from_one_address_and_port() -> None:
    """A gateway that registers all of its subscribers."""
    r = Registry()
    for number in range(200):
        r.register(str(number), f"<sip:{number}@10.0.0.9>", call_id=str(number))
    flow = Flow("tcp", "10.0.0.5", 5060, "10.0.0.9", 5060, 5)
    r.registrar.flow_failed(flow)
    assert r.registrar.registered == 200
    for number in range(200):
        r.registrar.forget(str(number))
    assert not r.registrar._sources


INSTANCE = '+sip.instance="<urn:uuid:0C67446E-F1A1-11D9-94D3-000A95A0E128>"'


def contacts(r: Registry) -> list[str]:
    return [binding.contact for binding in r.registrar.bindings("100")]


def test_a_phone_that_says_which_it_is_moves_with_all_that_it_was() -> None:
    """RFC 5626 6: it got another address, another port or another Call-ID; where it was nobody hears anything."""
    r = Registry()
    r.register("100", f"<sip:100@10.0.0.9>;{INSTANCE};reg-id=1")
    r.register("100", f"<sip:100@10.0.7.7:40000>;{INSTANCE};reg-id=1", host="10.0.7.7", port=40000, call_id="d")
    assert contacts(r) == ["sip:100@10.0.7.7:40000"]
    assert not r.registrar.has_phones("10.0.0.9")
    # Another way of the same phone, another phone, and one that says nothing of itself stay beside it.
    r.register("100", f"<sip:100@10.0.0.9>;{INSTANCE};reg-id=2", call_id="e")
    r.register("100", f"<sip:100@10.0.0.9:5070>;{INSTANCE.replace('0C6', '0C7')};reg-id=1", call_id="f")
    r.register("100", "<sip:100@10.0.0.9:5080>", call_id="g")
    assert len(contacts(r)) == 4
    assert len(r.time.deadlines) == 4


def test_what_a_phone_takes_away_is_meant_by_its_contact() -> None:
    """Phones that learn their public address take the old Contact away after or beside the new one."""
    r = Registry()
    old, new = f"<sip:100@10.0.0.9>;{INSTANCE}", f"<sip:100@198.51.100.9:40000>;{INSTANCE}"
    r.register("100", old)
    r.register("100", f"{new}, {old};expires=0")
    assert contacts(r) == ["sip:100@198.51.100.9:40000"]
    r.register("100", old, ("Expires", "0"))
    assert contacts(r) == ["sip:100@198.51.100.9:40000"]
    r.register("100", new, ("Expires", "0"))
    assert contacts(r) == []
    assert len(r.time.deadlines) == 0
    assert not r.registrar._hosts


def test_a_kept_registration_learns_which_phone_it_is_with_its_next_refresh() -> None:
    r = Registry()
    r.register("100", "<sip:100@10.0.0.9>")
    r.register("100", f"<sip:100@10.0.0.9>;{INSTANCE}")
    r.register("100", f"<sip:100@10.0.0.8>;{INSTANCE}")
    assert contacts(r) == ["sip:100@10.0.0.8"]


OTHER_INSTANCE = INSTANCE.replace("0C6", "0C7")


def test_a_phone_that_was_set_up_anew_rings_once() -> None:
    """It is where it was, but calls itself by another name: a softphone that was installed again, for example."""
    r = Registry()
    r.register("100", f"<sip:100@10.0.0.9>;{INSTANCE}")
    r.register("100", f"<sip:100@10.0.0.9>;{OTHER_INSTANCE}", call_id="d")
    assert contacts(r) == ["sip:100@10.0.0.9"]
    # By another port, to a phone that can be reached by what it names.
    r.register("100", f"<sip:100@10.0.0.9>;{INSTANCE}", port=50001, call_id="e")
    assert contacts(r) == ["sip:100@10.0.0.9"]


def test_a_phone_behind_nat_that_was_set_up_anew_rings_once() -> None:
    r = Registry()
    for instance, call_id in ((INSTANCE, "c"), (OTHER_INSTANCE, "d")):
        r.register("100", f"<sip:100@192.168.1.9>;{instance}", host="198.51.100.7", port=40000, call_id=call_id)
    assert contacts(r) == ["sip:100@192.168.1.9"]


def test_two_phones_behind_one_address_that_give_the_same_private_contact_stay_apart() -> None:
    r = Registry()
    r.register("100", f"<sip:100@192.168.1.9>;{INSTANCE}", host="198.51.100.7", port=40000)
    r.register("100", f"<sip:100@192.168.1.9>;{OTHER_INSTANCE}", host="198.51.100.7", port=40002, call_id="d")
    assert [binding.flow.remote_port for binding in r.registrar.bindings("100")] == [40000, 40002]
