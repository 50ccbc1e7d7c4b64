"""The four SIP transactions as tables: what each state does with each input, by RFC 3261 17 as amended by RFC 6026.

Everything that decides about a transaction stands here; `transaction.py` only looks up steps and performs their
actions. A pair that does nothing says so (`ignore`): nothing is left to chance, and a pair that is missing is a bug.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple


class TransactionKind(IntEnum):
    """Which of the four machines a transaction is (RFC 3261 17.1.1, 17.1.2, 17.2.1, 17.2.2)."""

    INVITE_CLIENT = 0
    NON_INVITE_CLIENT = 1
    INVITE_SERVER = 2
    NON_INVITE_SERVER = 3


class State(IntEnum):
    """The states of the four machines, by their names in the RFCs."""

    CALLING = 0
    TRYING = 1
    PROCEEDING = 2
    ACCEPTED = 3
    COMPLETED = 4
    CONFIRMED = 5
    TERMINATED = 6


class Timer(IntEnum):
    """The timers of RFC 3261 table 4 and RFC 6026, by letter (timer C belongs to the transaction user)."""

    A = 0
    B = 1
    D = 2
    E = 3
    F = 4
    G = 5
    H = 6
    I = 7  # noqa: E741 - the RFC's letter
    J = 8
    K = 9
    L = 10
    M = 11


class Input(IntEnum):
    """What can happen to a transaction."""

    RESPONSE_1XX = 0
    RESPONSE_2XX = 1
    RESPONSE_300_699 = 2
    REQUEST = 3
    """The request again: a retransmission."""
    ACK = 4
    SEND_1XX = 5
    """The transaction user sends a provisional response; SEND_2XX and SEND_300_699 likewise."""
    SEND_2XX = 6
    SEND_300_699 = 7
    TRANSPORT_ERROR = 8
    """Something that this transaction sent could not be sent."""
    TIMER_A = 9
    TIMER_B = 10
    TIMER_D = 11
    TIMER_E = 12
    TIMER_F = 13
    TIMER_G = 14
    TIMER_H = 15
    TIMER_I = 16
    TIMER_J = 17
    TIMER_K = 18
    TIMER_L = 19
    TIMER_M = 20


class Action(IntEnum):
    """What a step makes the layer do, in the order in which the step names them."""

    SEND_REQUEST = 0
    """Send the request for the first time and keep its bytes."""
    RESEND_REQUEST = 1
    SEND_ACK = 2
    """Send the ACK to a 300-699 response, built once."""
    SEND_RESPONSE = 3
    """Send the transaction user's response and keep its bytes for retransmissions."""
    PASS_RESPONSE = 4
    """Send the transaction user's response without keeping it: a repeated 2xx, which the transaction user repeats."""
    RESEND_RESPONSE = 5
    """Send the kept response again; nothing if there is none yet."""
    DELIVER_REQUEST = 6
    DELIVER_ACK = 7
    DELIVER_RESPONSE = 8
    DELIVER_TIMEOUT = 9
    DELIVER_NO_ACK = 10
    DELIVER_TRANSPORT_FAILURE = 11
    START_A = 12
    """Start a timer with its first delay; one without delay fires when the step has been performed."""
    START_B = 13
    START_D = 14
    START_E = 15
    START_F = 16
    START_G = 17
    START_H = 18
    START_I = 19
    START_J = 20
    START_K = 21
    START_L = 22
    START_M = 23
    DOUBLE_A = 24
    """Start it again with twice its last delay."""
    DOUBLE_E = 25
    """Start it again with twice its last delay, at most T2; DOUBLE_G likewise."""
    DOUBLE_G = 26
    SLOW_E = 27
    """Start timer E again with T2."""
    STOP_A = 28
    STOP_B = 29
    STOP_E = 30
    STOP_F = 31
    STOP_G = 32
    STOP_H = 33


class Step(NamedTuple):
    """One entry of a table. Reaching TERMINATED stops every timer that is still running and forgets the transaction.

    Timers come first, then what is sent, then what is delivered: whoever performs the effects may call the layer again
    from within a send or a delivery, and must find nothing half done.
    """

    next_state: State
    actions: tuple[Action, ...] = ()


Table = Mapping[tuple[State, Input], Step]


@dataclass(frozen=True, slots=True)
class Timing:
    """The timer bases of RFC 3261 17.1.1.1 and table 4, in seconds."""

    t1: float = 0.5
    """Estimate of the round trip time."""
    t2: float = 4.0
    """The longest interval between retransmissions of non-INVITE requests and INVITE responses."""
    t4: float = 5.0
    """How long a message stays in the network."""
    t_completed: float = 32.0
    """Timer D over an unreliable transport: at least 32 s (17.1.1.2)."""

    @property
    def timeout(self) -> float:
        """64*T1: timers B, F, H, J, L and M."""
        return 64 * self.t1


def ignore(state: State) -> Step:
    """The step that stays where it is and does nothing."""
    return Step(state)


CALLING, TRYING, PROCEEDING, ACCEPTED, COMPLETED, CONFIRMED, TERMINATED = State

INPUTS: Mapping[TransactionKind, tuple[Input, ...]] = {
    TransactionKind.INVITE_CLIENT: (
        Input.RESPONSE_1XX,
        Input.RESPONSE_2XX,
        Input.RESPONSE_300_699,
        Input.TIMER_A,
        Input.TIMER_B,
        Input.TIMER_D,
        Input.TIMER_M,
        Input.TRANSPORT_ERROR,
    ),
    TransactionKind.NON_INVITE_CLIENT: (
        Input.RESPONSE_1XX,
        Input.RESPONSE_2XX,
        Input.RESPONSE_300_699,
        Input.TIMER_E,
        Input.TIMER_F,
        Input.TIMER_K,
        Input.TRANSPORT_ERROR,
    ),
    TransactionKind.INVITE_SERVER: (
        Input.REQUEST,
        Input.ACK,
        Input.SEND_1XX,
        Input.SEND_2XX,
        Input.SEND_300_699,
        Input.TIMER_G,
        Input.TIMER_H,
        Input.TIMER_I,
        Input.TIMER_L,
        Input.TRANSPORT_ERROR,
    ),
    TransactionKind.NON_INVITE_SERVER: (
        Input.REQUEST,
        Input.SEND_1XX,
        Input.SEND_2XX,
        Input.SEND_300_699,
        Input.TIMER_J,
        Input.TRANSPORT_ERROR,
    ),
}
"""The inputs that each machine knows; the layer can give it no other."""

STATES: Mapping[TransactionKind, tuple[State, ...]] = {
    TransactionKind.INVITE_CLIENT: (CALLING, PROCEEDING, ACCEPTED, COMPLETED, TERMINATED),
    TransactionKind.NON_INVITE_CLIENT: (TRYING, PROCEEDING, COMPLETED, TERMINATED),
    TransactionKind.INVITE_SERVER: (PROCEEDING, ACCEPTED, COMPLETED, CONFIRMED, TERMINATED),
    TransactionKind.NON_INVITE_SERVER: (TRYING, PROCEEDING, COMPLETED, TERMINATED),
}

START: Mapping[TransactionKind, Step] = {
    # RFC 3261 17.1.1.2: enter "calling", send the INVITE, timer A only where the transport is unreliable, timer B.
    TransactionKind.INVITE_CLIENT: Step(CALLING, (Action.START_A, Action.START_B, Action.SEND_REQUEST)),
    # RFC 3261 17.1.2.2: enter "trying", send the request, timer F; timer E where the transport is unreliable.
    TransactionKind.NON_INVITE_CLIENT: Step(TRYING, (Action.START_E, Action.START_F, Action.SEND_REQUEST)),
    # RFC 3261 17.2.1: enter "proceeding" and pass the INVITE on. The 100 that is due unless a response follows within
    # 200 ms is the transaction user's: ours answers in the same call, before it does anything else.
    TransactionKind.INVITE_SERVER: Step(PROCEEDING, (Action.DELIVER_REQUEST,)),
    # RFC 3261 17.2.2: enter "trying" and pass the request on.
    TransactionKind.NON_INVITE_SERVER: Step(TRYING, (Action.DELIVER_REQUEST,)),
}
"""How a transaction begins."""

# RFC 3261 17.1.1.2 figure 5, with RFC 6026 7.2 and 8.4 (the Accepted state and timer M).
INVITE_CLIENT: Table = {
    # 17.1.1.2: a provisional response stops the retransmissions; timer B no longer counts ("if timer B fires while
    # still in calling"): how long a call may ring is the transaction user's timer C.
    (CALLING, Input.RESPONSE_1XX): Step(PROCEEDING, (Action.STOP_A, Action.STOP_B, Action.DELIVER_RESPONSE)),
    # RFC 6026 7.2: the 2xx goes to the transaction user, which also sends its ACK (13.2.2.4); timer M starts.
    (CALLING, Input.RESPONSE_2XX): Step(
        ACCEPTED, (Action.STOP_A, Action.STOP_B, Action.START_M, Action.DELIVER_RESPONSE)
    ),
    # 17.1.1.2: pass the response on, send the ACK, start timer D.
    (CALLING, Input.RESPONSE_300_699): Step(
        COMPLETED, (Action.STOP_A, Action.STOP_B, Action.START_D, Action.SEND_ACK, Action.DELIVER_RESPONSE)
    ),
    # 17.1.1.2: retransmit and double, without an upper bound other than timer B.
    (CALLING, Input.TIMER_A): Step(CALLING, (Action.DOUBLE_A, Action.RESEND_REQUEST)),
    # 17.1.1.2: no ACK is sent; the transaction user is told.
    (CALLING, Input.TIMER_B): Step(TERMINATED, (Action.DELIVER_TIMEOUT,)),
    (CALLING, Input.TIMER_D): ignore(CALLING),
    (CALLING, Input.TIMER_M): ignore(CALLING),
    # 17.1.4
    (CALLING, Input.TRANSPORT_ERROR): Step(TERMINATED, (Action.DELIVER_TRANSPORT_FAILURE,)),
    # 17.1.1.2: any further provisional response is passed on.
    (PROCEEDING, Input.RESPONSE_1XX): Step(PROCEEDING, (Action.DELIVER_RESPONSE,)),
    (PROCEEDING, Input.RESPONSE_2XX): Step(ACCEPTED, (Action.START_M, Action.DELIVER_RESPONSE)),
    (PROCEEDING, Input.RESPONSE_300_699): Step(COMPLETED, (Action.START_D, Action.SEND_ACK, Action.DELIVER_RESPONSE)),
    (PROCEEDING, Input.TIMER_A): ignore(PROCEEDING),
    (PROCEEDING, Input.TIMER_B): ignore(PROCEEDING),
    (PROCEEDING, Input.TIMER_D): ignore(PROCEEDING),
    (PROCEEDING, Input.TIMER_M): ignore(PROCEEDING),
    # Nothing is sent in this state, and the answer may come by another connection (18.2.2): figure 5 has no such arc.
    (PROCEEDING, Input.TRANSPORT_ERROR): ignore(PROCEEDING),
    (ACCEPTED, Input.RESPONSE_1XX): ignore(ACCEPTED),
    # RFC 6026 7.2: every 2xx is passed on: a retransmission, or that of another branch of a fork.
    (ACCEPTED, Input.RESPONSE_2XX): Step(ACCEPTED, (Action.DELIVER_RESPONSE,)),
    (ACCEPTED, Input.RESPONSE_300_699): ignore(ACCEPTED),
    (ACCEPTED, Input.TIMER_A): ignore(ACCEPTED),
    (ACCEPTED, Input.TIMER_B): ignore(ACCEPTED),
    (ACCEPTED, Input.TIMER_D): ignore(ACCEPTED),
    # RFC 6026 8.4
    (ACCEPTED, Input.TIMER_M): Step(TERMINATED),
    (ACCEPTED, Input.TRANSPORT_ERROR): ignore(ACCEPTED),
    (COMPLETED, Input.RESPONSE_1XX): ignore(COMPLETED),
    (COMPLETED, Input.RESPONSE_2XX): ignore(COMPLETED),
    # 17.1.1.2: a retransmission gets the ACK again and is not passed on.
    (COMPLETED, Input.RESPONSE_300_699): Step(COMPLETED, (Action.SEND_ACK,)),
    (COMPLETED, Input.TIMER_A): ignore(COMPLETED),
    (COMPLETED, Input.TIMER_B): ignore(COMPLETED),
    (COMPLETED, Input.TIMER_D): Step(TERMINATED),
    (COMPLETED, Input.TIMER_M): ignore(COMPLETED),
    # 17.1.4: the ACK could not be sent.
    (COMPLETED, Input.TRANSPORT_ERROR): Step(TERMINATED, (Action.DELIVER_TRANSPORT_FAILURE,)),
} | {(TERMINATED, input_): ignore(TERMINATED) for input_ in INPUTS[TransactionKind.INVITE_CLIENT]}

# RFC 3261 17.1.2.2 figure 6.
NON_INVITE_CLIENT: Table = {
    # 17.1.2.2: timers E and F go on.
    (TRYING, Input.RESPONSE_1XX): Step(PROCEEDING, (Action.DELIVER_RESPONSE,)),
    (TRYING, Input.RESPONSE_2XX): Step(
        COMPLETED, (Action.STOP_E, Action.STOP_F, Action.START_K, Action.DELIVER_RESPONSE)
    ),
    (TRYING, Input.RESPONSE_300_699): Step(
        COMPLETED, (Action.STOP_E, Action.STOP_F, Action.START_K, Action.DELIVER_RESPONSE)
    ),
    # 17.1.2.2: min(2*E, T2)
    (TRYING, Input.TIMER_E): Step(TRYING, (Action.DOUBLE_E, Action.RESEND_REQUEST)),
    (TRYING, Input.TIMER_F): Step(TERMINATED, (Action.DELIVER_TIMEOUT,)),
    (TRYING, Input.TIMER_K): ignore(TRYING),
    # 17.1.4
    (TRYING, Input.TRANSPORT_ERROR): Step(TERMINATED, (Action.DELIVER_TRANSPORT_FAILURE,)),
    (PROCEEDING, Input.RESPONSE_1XX): Step(PROCEEDING, (Action.DELIVER_RESPONSE,)),
    (PROCEEDING, Input.RESPONSE_2XX): Step(
        COMPLETED, (Action.STOP_E, Action.STOP_F, Action.START_K, Action.DELIVER_RESPONSE)
    ),
    (PROCEEDING, Input.RESPONSE_300_699): Step(
        COMPLETED, (Action.STOP_E, Action.STOP_F, Action.START_K, Action.DELIVER_RESPONSE)
    ),
    # 17.1.2.2: in this state timer E is reset to T2.
    (PROCEEDING, Input.TIMER_E): Step(PROCEEDING, (Action.SLOW_E, Action.RESEND_REQUEST)),
    (PROCEEDING, Input.TIMER_F): Step(TERMINATED, (Action.DELIVER_TIMEOUT,)),
    (PROCEEDING, Input.TIMER_K): ignore(PROCEEDING),
    (PROCEEDING, Input.TRANSPORT_ERROR): Step(TERMINATED, (Action.DELIVER_TRANSPORT_FAILURE,)),
    # 17.1.2.2: the state only absorbs retransmitted responses until timer K fires.
    (COMPLETED, Input.RESPONSE_1XX): ignore(COMPLETED),
    (COMPLETED, Input.RESPONSE_2XX): ignore(COMPLETED),
    (COMPLETED, Input.RESPONSE_300_699): ignore(COMPLETED),
    (COMPLETED, Input.TIMER_E): ignore(COMPLETED),
    (COMPLETED, Input.TIMER_F): ignore(COMPLETED),
    (COMPLETED, Input.TIMER_K): Step(TERMINATED),
    (COMPLETED, Input.TRANSPORT_ERROR): ignore(COMPLETED),
} | {(TERMINATED, input_): ignore(TERMINATED) for input_ in INPUTS[TransactionKind.NON_INVITE_CLIENT]}

# RFC 3261 17.2.1 figure 7, with RFC 6026 7.1 and 8.7 (the Accepted state and timer L) and 8.8: after a transport
# error a server transaction tells the transaction user and stays where it is.
INVITE_SERVER: Table = {
    # 17.2.1: the most recent provisional response again.
    (PROCEEDING, Input.REQUEST): Step(PROCEEDING, (Action.RESEND_RESPONSE,)),
    # There is nothing to acknowledge yet.
    (PROCEEDING, Input.ACK): ignore(PROCEEDING),
    (PROCEEDING, Input.SEND_1XX): Step(PROCEEDING, (Action.SEND_RESPONSE,)),
    # RFC 6026 7.1
    (PROCEEDING, Input.SEND_2XX): Step(ACCEPTED, (Action.START_L, Action.PASS_RESPONSE)),
    # 17.2.1: timer G only where the transport is unreliable, timer H for all.
    (PROCEEDING, Input.SEND_300_699): Step(COMPLETED, (Action.START_G, Action.START_H, Action.SEND_RESPONSE)),
    (PROCEEDING, Input.TIMER_G): ignore(PROCEEDING),
    (PROCEEDING, Input.TIMER_H): ignore(PROCEEDING),
    (PROCEEDING, Input.TIMER_I): ignore(PROCEEDING),
    (PROCEEDING, Input.TIMER_L): ignore(PROCEEDING),
    # RFC 6026 8.8. The transaction user still owes a final response.
    (PROCEEDING, Input.TRANSPORT_ERROR): Step(PROCEEDING, (Action.DELIVER_TRANSPORT_FAILURE,)),
    # RFC 6026 7.1: retransmissions of the INVITE are absorbed; the transaction user repeats the 2xx (13.3.1.4).
    (ACCEPTED, Input.REQUEST): ignore(ACCEPTED),
    # RFC 6026 7.1: the ACK goes to the transaction user.
    (ACCEPTED, Input.ACK): Step(ACCEPTED, (Action.DELIVER_ACK,)),
    (ACCEPTED, Input.SEND_1XX): ignore(ACCEPTED),
    (ACCEPTED, Input.SEND_2XX): Step(ACCEPTED, (Action.PASS_RESPONSE,)),
    (ACCEPTED, Input.SEND_300_699): ignore(ACCEPTED),
    (ACCEPTED, Input.TIMER_G): ignore(ACCEPTED),
    (ACCEPTED, Input.TIMER_H): ignore(ACCEPTED),
    (ACCEPTED, Input.TIMER_I): ignore(ACCEPTED),
    # RFC 6026 8.7
    (ACCEPTED, Input.TIMER_L): Step(TERMINATED),
    (ACCEPTED, Input.TRANSPORT_ERROR): Step(ACCEPTED, (Action.DELIVER_TRANSPORT_FAILURE,)),
    # 17.2.1: the final response again.
    (COMPLETED, Input.REQUEST): Step(COMPLETED, (Action.RESEND_RESPONSE,)),
    # 17.2.1: stop retransmitting, start timer I to absorb further ACKs.
    (COMPLETED, Input.ACK): Step(CONFIRMED, (Action.STOP_G, Action.STOP_H, Action.START_I)),
    # 17.2.1: any other response that the transaction user passes is discarded.
    (COMPLETED, Input.SEND_1XX): ignore(COMPLETED),
    (COMPLETED, Input.SEND_2XX): ignore(COMPLETED),
    (COMPLETED, Input.SEND_300_699): ignore(COMPLETED),
    # 17.2.1: min(2*G, T2)
    (COMPLETED, Input.TIMER_G): Step(COMPLETED, (Action.DOUBLE_G, Action.RESEND_RESPONSE)),
    # 17.2.1: the ACK never came.
    (COMPLETED, Input.TIMER_H): Step(TERMINATED, (Action.DELIVER_NO_ACK,)),
    (COMPLETED, Input.TIMER_I): ignore(COMPLETED),
    (COMPLETED, Input.TIMER_L): ignore(COMPLETED),
    # RFC 6026 8.8
    (COMPLETED, Input.TRANSPORT_ERROR): Step(COMPLETED, (Action.DELIVER_TRANSPORT_FAILURE,)),
    (CONFIRMED, Input.REQUEST): ignore(CONFIRMED),
    (CONFIRMED, Input.ACK): ignore(CONFIRMED),
    (CONFIRMED, Input.SEND_1XX): ignore(CONFIRMED),
    (CONFIRMED, Input.SEND_2XX): ignore(CONFIRMED),
    (CONFIRMED, Input.SEND_300_699): ignore(CONFIRMED),
    (CONFIRMED, Input.TIMER_G): ignore(CONFIRMED),
    (CONFIRMED, Input.TIMER_H): ignore(CONFIRMED),
    (CONFIRMED, Input.TIMER_I): Step(TERMINATED),
    (CONFIRMED, Input.TIMER_L): ignore(CONFIRMED),
    # Nothing is sent any more; the error belongs to a response that was acknowledged after all.
    (CONFIRMED, Input.TRANSPORT_ERROR): ignore(CONFIRMED),
} | {(TERMINATED, input_): ignore(TERMINATED) for input_ in INPUTS[TransactionKind.INVITE_SERVER]}

# RFC 3261 17.2.2 figure 8, with RFC 6026 8.8 for transport errors.
NON_INVITE_SERVER: Table = {
    # 17.2.2: retransmissions are discarded until there is something to answer.
    (TRYING, Input.REQUEST): ignore(TRYING),
    (TRYING, Input.SEND_1XX): Step(PROCEEDING, (Action.SEND_RESPONSE,)),
    (TRYING, Input.SEND_2XX): Step(COMPLETED, (Action.START_J, Action.SEND_RESPONSE)),
    (TRYING, Input.SEND_300_699): Step(COMPLETED, (Action.START_J, Action.SEND_RESPONSE)),
    (TRYING, Input.TIMER_J): ignore(TRYING),
    # Nothing was sent yet.
    (TRYING, Input.TRANSPORT_ERROR): ignore(TRYING),
    # 17.2.2: the most recent provisional response again.
    (PROCEEDING, Input.REQUEST): Step(PROCEEDING, (Action.RESEND_RESPONSE,)),
    (PROCEEDING, Input.SEND_1XX): Step(PROCEEDING, (Action.SEND_RESPONSE,)),
    (PROCEEDING, Input.SEND_2XX): Step(COMPLETED, (Action.START_J, Action.SEND_RESPONSE)),
    (PROCEEDING, Input.SEND_300_699): Step(COMPLETED, (Action.START_J, Action.SEND_RESPONSE)),
    (PROCEEDING, Input.TIMER_J): ignore(PROCEEDING),
    (PROCEEDING, Input.TRANSPORT_ERROR): Step(PROCEEDING, (Action.DELIVER_TRANSPORT_FAILURE,)),
    # 17.2.2: the final response again; further responses of the transaction user are discarded.
    (COMPLETED, Input.REQUEST): Step(COMPLETED, (Action.RESEND_RESPONSE,)),
    (COMPLETED, Input.SEND_1XX): ignore(COMPLETED),
    (COMPLETED, Input.SEND_2XX): ignore(COMPLETED),
    (COMPLETED, Input.SEND_300_699): ignore(COMPLETED),
    (COMPLETED, Input.TIMER_J): Step(TERMINATED),
    (COMPLETED, Input.TRANSPORT_ERROR): Step(COMPLETED, (Action.DELIVER_TRANSPORT_FAILURE,)),
} | {(TERMINATED, input_): ignore(TERMINATED) for input_ in INPUTS[TransactionKind.NON_INVITE_SERVER]}

TABLES: Mapping[TransactionKind, Table] = MappingProxyType(
    {
        TransactionKind.INVITE_CLIENT: INVITE_CLIENT,
        TransactionKind.NON_INVITE_CLIENT: NON_INVITE_CLIENT,
        TransactionKind.INVITE_SERVER: INVITE_SERVER,
        TransactionKind.NON_INVITE_SERVER: NON_INVITE_SERVER,
    }
)


def first_delay(timer: Timer, reliable: bool, timing: Timing) -> float | None:
    """Seconds until a started timer fires (RFC 3261 table 4, RFC 6026 8.4 and 8.7); None where it is not used at all.

    Over a reliable transport there are no retransmissions (A, E, G) and nothing to absorb (D, I, J, K fire at once).
    Timers L and M do not depend on the transport: a 2xx crosses every hop to the other end.
    """
    if timer in (Timer.A, Timer.E, Timer.G):
        return None if reliable else timing.t1
    if timer in (Timer.B, Timer.F, Timer.H, Timer.L, Timer.M):
        return timing.timeout
    if reliable:
        return 0.0
    if timer is Timer.D:
        return timing.t_completed
    if timer is Timer.J:
        return timing.timeout
    return timing.t4
