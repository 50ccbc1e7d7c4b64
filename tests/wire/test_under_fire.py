"""A running server under attack and under more load than it can take: others hardly notice, and nothing falls over."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Literal

import pytest
from support.documents import CALLER, CARRIER_A, PASSWORDS, SERVER, document
from support.flood import RATE, Flood, cpu_seconds
from support.ports import LoopbackNetwork
from support.server import ROOT, RunningServer
from support.sip_text import SipSocket, SipText, digest_header
from support.starting import StartEngine
from support.udp_peers import Caller, Carrier, Talk
from support.waiting import wait_until

pytestmark = pytest.mark.wire

CUT_OFF_WITHIN = 2.0
SHARE_OF_A_CORE = 0.3


@pytest.fixture(scope="module")
def fortress() -> Iterator[LoopbackNetwork]:
    network = LoopbackNetwork()
    yield network
    network.close()


@pytest.fixture(scope="module")
def server(fortress: LoopbackNetwork, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server for all attackers, each of whom has an address of its own."""
    data = tmp_path_factory.mktemp("fire") / "data"
    # On a machine that has no time for it the server may well say that it has too much to do.
    with RunningServer(data, document(fortress), fortress.address(SERVER), expected=("more comes in than",)) as running:
        yield running


@pytest.mark.parametrize(
    ("kind", "transport", "host"),
    [("INVITE", "UDP", 201), ("REGISTER", "UDP", 202), ("nonsense", "UDP", 203), ("INVITE", "TCP", 204)],
)
def test_a_flood_from_one_address_is_cut_off_while_others_call(
    fortress: LoopbackNetwork, server: RunningServer, kind: str, transport: Literal["UDP", "TCP"], host: int
) -> None:
    with (
        Carrier(fortress.address(CARRIER_A)),
        Caller(fortress.address(CALLER), server.address) as caller,
        Flood(fortress.address(host), (server.address, server.port), kind, transport) as flood,
    ):
        spent, calls = cpu_seconds(server.pid), 0
        while flood.seconds < 4.0:
            calls += 1
            wait_until(lambda: flood.seconds >= calls, "the next second")  # noqa: B023 - called at once
            assert caller.call("135550").status == 200
        spent, lasted = cpu_seconds(server.pid) - spent, flood.seconds
    share = spent / lasted
    last = max(flood.answered_at, default=0.0)
    answered = f"{len(flood.answered_at)} answered, the last after {last:.2f} s"
    print(f"{kind} by {transport}: {flood.sent} sent, {answered}, {share:.1%} CPU")
    assert flood.sent >= 0.7 * RATE * lasted, f"only {flood.sent} were sent: this machine is too busy to tell"
    assert last < CUT_OFF_WITHIN
    assert share < SHARE_OF_A_CORE


def is_ignored(stranger: SipSocket) -> bool:
    """Whether a request of this address gets no answer."""
    uri = f"sip:{stranger.server[0]}"
    try:
        stranger.request("OPTIONS", uri, f"sip:x@{stranger.address}", uri, seconds=0.7)
    except AssertionError:
        return True
    return False


def register(phone: SipSocket, headers: tuple[str, ...] = ()) -> SipText:
    uri = f"sip:{phone.server[0]}"
    own = f"sip:100@{phone.server[0]}"
    return phone.request("REGISTER", uri, own, own, headers)


def credentials(answer: SipText, server: str, password: str) -> str:
    challenge = answer.headers("WWW-Authenticate")[0]
    return f"Authorization: {digest_header(challenge, 'REGISTER', f'sip:{server}', '100', password)}"


def test_ten_wrong_passwords_ban_and_nine_do_not(fortress: LoopbackNetwork, server: RunningServer) -> None:
    place = (server.address, server.port)
    with SipSocket(fortress.address(210), place) as guesser, SipSocket(fortress.address(211), place) as other:
        for number in range(10):
            assert not is_ignored(guesser)
            challenged = register(guesser)
            assert challenged.status == 401
            if number == 9:
                break
            assert register(guesser, (credentials(challenged, server.address, f"guess-{number}"),)).status == 403
        guesser.send(b"")
        with pytest.raises(AssertionError, match="no final response"):
            # The tenth may be answered or not; what follows it is not.
            register(guesser, (credentials(challenged, server.address, "guess-9"),))
            register(guesser)
        assert is_ignored(guesser)
        challenged = register(other)
        assert register(other, (credentials(challenged, server.address, PASSWORDS["100"]),)).status == 200


def test_a_scanner_is_banned_by_its_name_and_by_its_numbers(fortress: LoopbackNetwork, server: RunningServer) -> None:
    place = (server.address, server.port)
    with SipSocket(fortress.address(212), place) as named, SipSocket(fortress.address(213), place) as dialler:
        uri = f"sip:100@{server.address}"
        with pytest.raises(AssertionError, match="no final response"):
            named.request("INVITE", uri, f"sip:x@{named.address}", uri, ("User-Agent: friendly-scanner",), 0.7)
            assert is_ignored(named)
            raise AssertionError("no final response: answered once, ignored afterwards")
        with pytest.raises(AssertionError, match="no final response"):
            for number in range(20):
                uri = f"sip:00972{number:04}@{server.address}"
                dialler.request("INVITE", uri, f"sip:x@{dialler.address}", uri, seconds=0.7)
        assert number >= 9
        assert is_ignored(dialler)


@pytest.mark.parametrize(
    ("agent", "host"), [("friendly-scanner", 215), ("sipvicious", 216), ("sipcli/v1.8", 217), ("SIPScan 1", 218)]
)
@pytest.mark.parametrize("method", ["OPTIONS", "REGISTER"])
def test_scanners_hear_nothing_at_all(
    fortress: LoopbackNetwork, server: RunningServer, agent: str, host: int, method: str
) -> None:
    """Not even that there is a SIP server."""
    host += 4 * (method == "REGISTER")
    with SipSocket(fortress.address(host), (server.address, server.port)) as scanner:
        uri = f"sip:100@{server.address}"
        with pytest.raises(AssertionError, match="no final response"):
            scanner.request(method, uri, uri, uri, (f"User-Agent: {agent}",), 0.4)
        assert is_ignored(scanner)


def test_credentials_cannot_be_used_again(fortress: LoopbackNetwork, server: RunningServer) -> None:
    """Somebody who has listened repeats a good REGISTER, with a Contact of his own: its nonce is worn."""
    with SipSocket(fortress.address(214), (server.address, server.port)) as phone:
        good = credentials(register(phone), server.address, PASSWORDS["100"])
        assert register(phone, (good,)).status == 200
        again = register(phone, (good,))
        assert again.status == 401
        assert "stale=true" in again.headers("WWW-Authenticate")[0]
        # Nor by somebody at another place, before the phone itself has used them.
        unused = credentials(register(phone), server.address, PASSWORDS["100"])
        # (Another network than the phone's: one may change its address within it.)
        elsewhere = f"127.{250 - int(server.address.split('.')[1]) % 8}.1.1"
        with SipSocket(elsewhere, (server.address, server.port)) as thief:
            assert register(thief, (unused,)).status == 401
        assert register(phone, (unused,)).status == 200


@pytest.mark.expects_log("more comes in than this server can do")
def test_more_calls_than_can_be_done_get_503_and_those_taken_are_completed(
    network: LoopbackNetwork, start_engine: StartEngine
) -> None:
    """Calls pile up while the loop stands still for a moment, which is what too much load comes to."""
    unlimited = {number: {"max_outgoing_calls": 10000, "max_incoming_calls": 10000} for number in (1, 3)}
    engine = start_engine(document(network, unlimited))
    with Carrier(network.address(CARRIER_A)), Caller(network.address(CALLER), engine.address) as caller:
        standing = threading.Thread(target=engine.ask, args=(lambda _engine: time.sleep(0.5),))
        standing.start()
        talks: list[Talk] = [caller.begin(f"13{number:04}") for number in range(700)]
        standing.join()
        taken = refused = 0
        # One time for all: many fell out of the system's buffer, and a second for each would be minutes.
        heard_by = time.monotonic() + 5.0
        for talk in talks:
            answer = final_or_none(talk, max(0.0, heard_by - time.monotonic()))
            if answer is not None and answer.status == 200:
                taken += 1
                talk.hang_up()
            elif answer is not None:
                refused += 1
                assert answer.status == 503
                assert 5 <= int(answer.header("Retry-After") or 0) <= 12
        print(f"{taken} taken, {refused} refused, {len(talks) - taken - refused} lost before they were read")
        assert taken >= 10
        assert refused >= 10
        assert caller.call("135550").status == 200
    records = engine.wait_for_calls(taken + 1)
    assert {record.status for record in records} == {200}


def final_or_none(talk: Talk, seconds: float) -> SipText | None:
    """The final response; None where the INVITE fell out of the system's buffer (a real caller would repeat it)."""
    try:
        return talk.final(seconds)
    except AssertionError:
        return None


@pytest.mark.long
@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_three_times_the_peak_keeps_four_fifths_of_it(transport: str) -> None:
    command = [sys.executable, "-m", "tests.bench.overload", "--transport", transport]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stdout[-2000:]
