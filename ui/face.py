"""What the window uses of the server beside records, rows and events: its face, and pure questions to the plan."""

from __future__ import annotations

from collections.abc import Iterable

from app.calls.destinations import DNS_TROUBLE, LookedUp
from app.calls.simulation import Simulation
from app.command_line.documents import parse_json
from app.command_line.serve_command import read_sip_address
from app.dialplan.compare import Difference, SavedNumber, compare, outcome
from app.dialplan.coverage import Problem, cycle_through, cycle_words, problems
from app.dialplan.decide import decide
from app.dialplan.decision import Dial, TrailStep
from app.dialplan.live import IdleState
from app.dialplan.plan import DialPlan
from app.dialplan.request import CallRequest, Source
from app.dialplan.transitions import apply_transition
from app.engine import Engine
from app.logging_setup import LogEntry, RecentLog, keep_log_file, set_up_logging
from app.records import Configuration
from app.storage.calls import SORTABLE, CallQuery
from app.storage.export import as_csv, as_json

__all__ = [
    "DNS_TROUBLE",
    "SORTABLE",
    "CallQuery",
    "Dial",
    "Difference",
    "Engine",
    "LogEntry",
    "LookedUp",
    "Problem",
    "RecentLog",
    "SavedNumber",
    "Simulation",
    "Source",
    "TrailStep",
    "apply_transition",
    "as_csv",
    "as_json",
    "compare",
    "cycle_through",
    "cycle_words",
    "keep_log_file",
    "outcomes",
    "parse_json",
    "problems",
    "read_sip_address",
    "set_up_logging",
]


def outcomes(configuration: Configuration, numbers: Iterable[SavedNumber]) -> list[str]:
    """Where each call goes with nobody busy and everybody reachable, in words, so that only the records count."""
    plan, idle = DialPlan(configuration), IdleState()
    return [
        outcome(decide(CallRequest(each.source, each.caller_number, each.called_number), plan, idle))
        for each in numbers
    ]
