"""Every pair of state and input of the four machines, against the figures of RFC 3261 17 and RFC 6026 written anew."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import pytest
from support.transactions import TCP, UDP, Driver, make_request, make_response

from app.sip.flow import Flow
from app.sip.message import Request, parse
from app.sip.transaction import (
    AckReceived,
    Cause,
    Key,
    NoAckReceived,
    RequestReceived,
    RequestTimedOut,
    ResponseReceived,
    TransportFailed,
)
from app.sip.transaction_tables import INPUTS, STATES, TABLES, Action, Input, State, Step, Timer, TransactionKind

# The arcs of the figures: state, input, next state, and what happens on the way, in the notation of this test:
# `-A` stops timer A, `+B` starts timer B, `++A` starts it again with another delay, `request`, `response`, `ack` send,
# `tell` tells the transaction user. What is not listed stays in its state and does nothing.
ARCS = {
    # RFC 6026 figure 3 (INVITE client)
    TransactionKind.INVITE_CLIENT: """
        CALLING     1xx      PROCEEDING  -A -B tell
        CALLING     2xx      ACCEPTED    -A -B +M tell
        CALLING     300-699  COMPLETED   -A -B +D ack tell
        CALLING     A        CALLING     ++A request
        CALLING     B        TERMINATED  tell:timeout
        CALLING     error    TERMINATED  tell:failure
        PROCEEDING  1xx      PROCEEDING  tell
        PROCEEDING  2xx      ACCEPTED    +M tell
        PROCEEDING  300-699  COMPLETED   +D ack tell
        ACCEPTED    2xx      ACCEPTED    tell
        ACCEPTED    M        TERMINATED
        COMPLETED   300-699  COMPLETED   ack
        COMPLETED   D        TERMINATED
        COMPLETED   error    TERMINATED  tell:failure
    """,
    # RFC 3261 figure 6 (non-INVITE client)
    TransactionKind.NON_INVITE_CLIENT: """
        TRYING      1xx      PROCEEDING  tell
        TRYING      2xx      COMPLETED   -E -F +K tell
        TRYING      300-699  COMPLETED   -E -F +K tell
        TRYING      E        TRYING      ++E request
        TRYING      F        TERMINATED  tell:timeout
        TRYING      error    TERMINATED  tell:failure
        PROCEEDING  1xx      PROCEEDING  tell
        PROCEEDING  2xx      COMPLETED   -E -F +K tell
        PROCEEDING  300-699  COMPLETED   -E -F +K tell
        PROCEEDING  E        PROCEEDING  ++E request
        PROCEEDING  F        TERMINATED  tell:timeout
        PROCEEDING  error    TERMINATED  tell:failure
        COMPLETED   K        TERMINATED
    """,
    # RFC 6026 figure 5 (INVITE server)
    TransactionKind.INVITE_SERVER: """
        PROCEEDING  request  PROCEEDING  response
        PROCEEDING  send1xx  PROCEEDING  response
        PROCEEDING  send2xx  ACCEPTED    +L response
        PROCEEDING  send300  COMPLETED   +G +H response
        PROCEEDING  error    PROCEEDING  tell:failure
        ACCEPTED    ack      ACCEPTED    tell:ack
        ACCEPTED    send2xx  ACCEPTED    response
        ACCEPTED    L        TERMINATED
        ACCEPTED    error    ACCEPTED    tell:failure
        COMPLETED   request  COMPLETED   response
        COMPLETED   ack      CONFIRMED   -G -H +I
        COMPLETED   G        COMPLETED   ++G response
        COMPLETED   H        TERMINATED  tell:noack
        COMPLETED   error    COMPLETED   tell:failure
        CONFIRMED   I        TERMINATED
    """,
    # RFC 3261 figure 8 (non-INVITE server) with RFC 6026 8.8
    TransactionKind.NON_INVITE_SERVER: """
        TRYING      send1xx  PROCEEDING  response
        TRYING      send2xx  COMPLETED   +J response
        TRYING      send300  COMPLETED   +J response
        PROCEEDING  request  PROCEEDING  response
        PROCEEDING  send1xx  PROCEEDING  response
        PROCEEDING  send2xx  COMPLETED   +J response
        PROCEEDING  send300  COMPLETED   +J response
        PROCEEDING  error    PROCEEDING  tell:failure
        COMPLETED   request  COMPLETED   response
        COMPLETED   J        TERMINATED
        COMPLETED   error    COMPLETED   tell:failure
    """,
}
# The second delay of the timers that repeat something: twice T1, but T2 for E after a provisional response.
AGAIN = {
    ("A", State.CALLING): 1.0,
    ("E", State.TRYING): 1.0,
    ("E", State.PROCEEDING): 4.0,
    ("G", State.COMPLETED): 1.0,
}
INPUT_NAMES = {
    "1xx": Input.RESPONSE_1XX,
    "2xx": Input.RESPONSE_2XX,
    "300-699": Input.RESPONSE_300_699,
    "request": Input.REQUEST,
    "ack": Input.ACK,
    "send1xx": Input.SEND_1XX,
    "send2xx": Input.SEND_2XX,
    "send300": Input.SEND_300_699,
    "error": Input.TRANSPORT_ERROR,
    **{timer.name: Input[f"TIMER_{timer.name}"] for timer in Timer},
}
# RFC 3261 table 4 and RFC 6026: the first delay of each timer, unreliable and reliable; None: not started.
DELAYS = {
    "A": (0.5, None),
    "B": (32.0, 32.0),
    "D": (32.0, 0.0),
    "E": (0.5, None),
    "F": (32.0, 32.0),
    "G": (0.5, None),
    "H": (32.0, 32.0),
    "I": (5.0, 0.0),
    "J": (32.0, 0.0),
    "K": (5.0, 0.0),
    "L": (32.0, 32.0),
    "M": (32.0, 32.0),
}


@dataclass(frozen=True)
class Arc:
    """What a pair must do."""

    next_state: State
    does: tuple[str, ...]


def expected(kind: TransactionKind, state: State, input_: Input) -> Arc:
    """The arc of the figure, or staying without doing anything."""
    for line in ARCS[kind].strip().splitlines():
        words = line.split()
        if State[words[0]] is state and INPUT_NAMES[words[1]] is input_:
            return Arc(State[words[2]], tuple(words[3:]))
    return Arc(state, ())


PAIRS = [
    pytest.param(kind, state, input_, id=f"{kind.name}-{state.name}-{input_.name}")
    for kind in TransactionKind
    for state, input_ in product(STATES[kind], INPUTS[kind])
]


def in_words(step: Step) -> tuple[str, ...]:
    """The actions of a step in the notation of this test."""
    words = []
    for action in step.actions:
        verb, _, what = action.name.partition("_")
        if verb in {"START", "STOP"}:
            words.append(("+" if verb == "START" else "-") + what)
        elif verb in {"DOUBLE", "SLOW"}:
            words.append("++" + what)
        elif verb == "DELIVER":
            words.append(
                {
                    "TIMEOUT": "tell:timeout",
                    "NO_ACK": "tell:noack",
                    "TRANSPORT_FAILURE": "tell:failure",
                    "ACK": "tell:ack",
                }.get(what, "tell")
            )
        else:
            words.append(what.lower())
    return tuple(words)


def test_the_tables_have_every_pair_and_no_other() -> None:
    for kind in TransactionKind:
        assert set(TABLES[kind]) == set(product(STATES[kind], INPUTS[kind]))
    assert sum(len(table) for table in TABLES.values()) == 142
    assert len(PAIRS) == 142


def test_every_arc_of_the_figures_is_named_once() -> None:
    for kind, text in ARCS.items():
        named = [tuple(line.split()[:2]) for line in text.strip().splitlines()]
        assert len(named) == len(set(named))
        for state, input_ in named:
            assert (State[state], INPUT_NAMES[input_]) in TABLES[kind]


@pytest.mark.parametrize(("kind", "state", "input_"), PAIRS)
def test_pair(kind: TransactionKind, state: State, input_: Input) -> None:
    """The table itself says what the figure says."""
    step = TABLES[kind][state, input_]
    arc = expected(kind, state, input_)
    assert step.next_state is arc.next_state
    assert in_words(step) == arc.does


def test_timers_come_before_sends_and_sends_before_deliveries() -> None:
    """Whoever performs the effects may call the layer again from a send or a delivery."""

    def rank(action: Action) -> int:
        verb = action.name.partition("_")[0]
        return 0 if verb in {"STOP", "START", "DOUBLE", "SLOW"} else 2 if verb == "DELIVER" else 1

    for table in TABLES.values():
        for step in table.values():
            ranks = [rank(action) for action in step.actions]
            assert ranks == sorted(ranks)


# --- the same pairs through the layer: what comes out of it -----------------------------------------------------------

CLIENT_PATHS = {
    (TransactionKind.INVITE_CLIENT, State.CALLING): (),
    (TransactionKind.INVITE_CLIENT, State.PROCEEDING): (180,),
    (TransactionKind.INVITE_CLIENT, State.ACCEPTED): (200,),
    (TransactionKind.INVITE_CLIENT, State.COMPLETED): (486,),
    (TransactionKind.NON_INVITE_CLIENT, State.TRYING): (),
    (TransactionKind.NON_INVITE_CLIENT, State.PROCEEDING): (100,),
    (TransactionKind.NON_INVITE_CLIENT, State.COMPLETED): (200,),
    (TransactionKind.INVITE_SERVER, State.PROCEEDING): (180,),
    (TransactionKind.INVITE_SERVER, State.ACCEPTED): (200,),
    (TransactionKind.INVITE_SERVER, State.COMPLETED): (486,),
    (TransactionKind.INVITE_SERVER, State.CONFIRMED): (486, "ACK"),
    (TransactionKind.NON_INVITE_SERVER, State.TRYING): (),
    (TransactionKind.NON_INVITE_SERVER, State.PROCEEDING): (100,),
    (TransactionKind.NON_INVITE_SERVER, State.COMPLETED): (200,),
}
STATUS_OF = {
    Input.RESPONSE_1XX: 183,
    Input.RESPONSE_2XX: 202,
    Input.RESPONSE_300_699: 603,
    Input.SEND_1XX: 183,
    Input.SEND_2XX: 202,
    Input.SEND_300_699: 603,
}
EVENT_OF = {
    "tell": ResponseReceived,
    "tell:timeout": RequestTimedOut,
    "tell:failure": TransportFailed,
    "tell:noack": NoAckReceived,
    "tell:ack": AckReceived,
}


def reach(kind: TransactionKind, state: State, flow: Flow) -> tuple[Driver, Key, Request]:
    """A layer with one transaction in this state."""
    driver = Driver()
    request = make_request(
        "INVITE" if kind in {TransactionKind.INVITE_CLIENT, TransactionKind.INVITE_SERVER} else "INFO"
    )
    path = CLIENT_PATHS[kind, state]
    if kind in {TransactionKind.INVITE_CLIENT, TransactionKind.NON_INVITE_CLIENT}:
        key = driver.send_request(request, flow)
        for status in path:
            assert isinstance(status, int)
            driver.receive(make_response(request, status), flow)
    else:
        driver.receive(request, flow)
        event = driver.events[-1]
        assert isinstance(event, RequestReceived)
        key = event.key
        for step in path:
            if isinstance(step, int):
                driver.respond(key, make_response(request, step))
            else:
                driver.receive(make_request(step, to_tag="ours"), flow)
    return driver, key, request


def give(driver: Driver, key: Key, request: Request, input_: Input, flow: Flow) -> None:
    """Feed an input to the layer as the endpoint would."""
    if input_ in {Input.RESPONSE_1XX, Input.RESPONSE_2XX, Input.RESPONSE_300_699}:
        driver.receive(make_response(request, STATUS_OF[input_]), flow)
    elif input_ in {Input.SEND_1XX, Input.SEND_2XX, Input.SEND_300_699}:
        driver.respond(key, make_response(request, STATUS_OF[input_]))
    elif input_ is Input.REQUEST:
        driver.receive(make_request(request.method), flow)
    elif input_ is Input.ACK:
        driver.receive(make_request("ACK", to_tag="ours"), flow)
    elif input_ is Input.TRANSPORT_ERROR:
        driver.perform(driver.layer.transport_failed(key, driver.now))
    else:
        timer = Timer[input_.name.removeprefix("TIMER_")]
        driver.timers.pop((key, timer), None)
        driver.perform(driver.layer.timer_fired(key, timer, driver.now))


@pytest.mark.parametrize("flow", [UDP, TCP], ids=["udp", "tcp"])
@pytest.mark.parametrize(
    ("kind", "state", "input_"), [pair for pair in PAIRS if pair.values[1] is not State.TERMINATED]
)
def test_pair_through_the_layer(kind: TransactionKind, state: State, input_: Input, flow: Flow) -> None:
    """What the layer does for the pair: next state, messages, events and timers, over UDP and TCP."""
    reliable = flow is TCP
    if reliable and (kind, state) in {
        (TransactionKind.INVITE_CLIENT, State.COMPLETED),
        (TransactionKind.NON_INVITE_CLIENT, State.COMPLETED),
        (TransactionKind.INVITE_SERVER, State.CONFIRMED),
        (TransactionKind.NON_INVITE_SERVER, State.COMPLETED),
    }:
        assert len(reach(kind, state, flow)[0].layer) == 0, "without a wait the state is left as it is entered"
        return
    driver, key, request = reach(kind, state, flow)
    assert driver.layer.state_of(key) is state
    before = dict(driver.timers)
    sent, told = len(driver.sent), len(driver.events)
    give(driver, key, request, input_, flow)
    arc = expected(kind, state, input_)
    if reliable and input_ in {Input.TIMER_A, Input.TIMER_E, Input.TIMER_G}:
        arc = Arc(state, ())  # never armed
    at_once = [word for word in arc.does if word[0] == "+" and word[1] != "+" and DELAYS[word[1]][reliable] == 0.0]
    next_state = State.TERMINATED if at_once else arc.next_state
    assert driver.layer.state_of(key) is (None if next_state is State.TERMINATED else next_state)
    assert [finish.key for finish in driver.finished] == ([key] if next_state is State.TERMINATED else [])
    assert len(driver.sent) - sent == sum(word in {"request", "response", "ack"} for word in arc.does)
    assert [type(event) for event in driver.events[told:]] == [EVENT_OF[word] for word in arc.does if word in EVENT_OF]
    timers = {timer.name: at for (_, timer), at in before.items()}
    if not (reliable and input_ in {Input.TIMER_A, Input.TIMER_E, Input.TIMER_G}) and input_.name.startswith("TIMER_"):
        timers.pop(input_.name.removeprefix("TIMER_"), None)
    for word in arc.does:
        if word.startswith("-"):
            timers.pop(word[1:], None)
        elif word.startswith("++"):
            timers[word[2:]] = driver.now + AGAIN[word[2:], state]
        elif word.startswith("+"):
            delay = DELAYS[word[1:]][reliable]
            if delay:
                timers[word[1:]] = driver.now + delay
    if next_state is State.TERMINATED:
        timers = {}
    assert {timer.name: at for (_, timer), at in driver.timers.items()} == timers


@pytest.mark.parametrize(
    ("kind", "state", "input_", "cause"),
    [
        (TransactionKind.INVITE_CLIENT, State.CALLING, Input.TIMER_B, Cause.TIMED_OUT),
        (TransactionKind.INVITE_CLIENT, State.CALLING, Input.TRANSPORT_ERROR, Cause.TRANSPORT_FAILED),
        (TransactionKind.INVITE_CLIENT, State.ACCEPTED, Input.TIMER_M, Cause.COMPLETED),
        (TransactionKind.INVITE_CLIENT, State.COMPLETED, Input.TIMER_D, Cause.COMPLETED),
        (TransactionKind.NON_INVITE_CLIENT, State.PROCEEDING, Input.TIMER_F, Cause.TIMED_OUT),
        (TransactionKind.NON_INVITE_CLIENT, State.COMPLETED, Input.TIMER_K, Cause.COMPLETED),
        (TransactionKind.INVITE_SERVER, State.COMPLETED, Input.TIMER_H, Cause.TIMED_OUT),
        (TransactionKind.INVITE_SERVER, State.CONFIRMED, Input.TIMER_I, Cause.COMPLETED),
        (TransactionKind.INVITE_SERVER, State.ACCEPTED, Input.TIMER_L, Cause.COMPLETED),
        (TransactionKind.NON_INVITE_SERVER, State.COMPLETED, Input.TIMER_J, Cause.COMPLETED),
    ],
)
def test_cause_of_the_end(kind: TransactionKind, state: State, input_: Input, cause: Cause) -> None:
    driver, key, request = reach(kind, state, UDP)
    give(driver, key, request, input_, UDP)
    assert [(finish.key, finish.cause) for finish in driver.finished] == [(key, cause)]


def test_what_is_sent_again_is_what_was_sent() -> None:
    """RFC 3261 17.1.1.2: a retransmission is the same bytes."""
    for kind, state, input_ in (
        (TransactionKind.INVITE_CLIENT, State.CALLING, Input.TIMER_A),
        (TransactionKind.NON_INVITE_CLIENT, State.PROCEEDING, Input.TIMER_E),
        (TransactionKind.INVITE_SERVER, State.PROCEEDING, Input.REQUEST),
        (TransactionKind.INVITE_SERVER, State.COMPLETED, Input.REQUEST),
        (TransactionKind.INVITE_SERVER, State.COMPLETED, Input.TIMER_G),
        (TransactionKind.NON_INVITE_SERVER, State.COMPLETED, Input.REQUEST),
        (TransactionKind.INVITE_CLIENT, State.COMPLETED, Input.RESPONSE_300_699),
    ):
        driver, key, request = reach(kind, state, UDP)
        last = driver.sent[-1][1]
        give(driver, key, request, input_, UDP)
        assert len(driver.sent) >= 2
        assert driver.sent[-1][1] == last


def test_most_recent_provisional_is_the_one_repeated() -> None:
    """RFC 3261 17.2.1."""
    driver, key, request = reach(TransactionKind.INVITE_SERVER, State.PROCEEDING, UDP)
    driver.respond(key, make_response(request, 183))
    driver.receive(make_request("INVITE"))
    repeated = parse(driver.sent[-1][1])
    assert not isinstance(repeated, Request)
    assert repeated.status == 183


def test_nothing_is_repeated_before_there_is_an_answer() -> None:
    driver = Driver()
    driver.receive(make_request("INVITE"))
    driver.receive(make_request("INVITE"))
    assert driver.sent == []
    assert len(driver.events) == 1
