"""`simulate`: says where a call would go, without making one."""

from __future__ import annotations

import json
from argparse import Namespace
from datetime import datetime
from typing import Any

from app.calls.simulation import Simulation, simulate
from app.command_line.databases import open_database
from app.command_line.output import show
from app.dialplan.decision import Dial, Reject
from app.dialplan.request import Source
from app.errors import RecordError, RecordErrors
from app.records.business_hours import read_moment
from app.text import printable


def run(options: Namespace) -> int:
    """Print the decision for one call."""
    try:
        source = Source.parse(options.source)
    except ValueError as error:
        raise RecordErrors((RecordError("--source", str(error)),)) from None
    try:
        at = read_moment(options.at, datetime.now())
    except ValueError as error:
        raise RecordErrors((RecordError("--at", str(error)),)) from None
    with open_database(options.data) as database:
        configuration, _ = database.load()
    simulation = simulate(configuration, source, options.caller, options.called, at=at)
    if options.json:
        show(json.dumps(as_dict(simulation), indent=2, ensure_ascii=False))
    else:
        show(as_text(simulation))
    return 0


def as_dict(simulation: Simulation) -> dict[str, Any]:
    """The simulation as plain JSON values."""
    decision = simulation.decision
    refused = isinstance(decision, Reject)
    return {
        "decision": "reject" if refused else "dial",
        "status": decision.status if isinstance(decision, Reject) else 0,
        "reason": decision.reason if isinstance(decision, Reject) else "",
        "text": decision.text if isinstance(decision, Reject) else "",
        "trail": [str(step) for step in decision.trail],
        "targets": [
            {
                "name": each.name,
                "caption": each.caption,
                "caller_number": each.caller_number,
                "called_number": each.called_number,
                "invite": each.invite,
            }
            for each in simulation.targets
        ],
        "skipped": [{"name": each.name, "reason": each.reason} for each in decision.skipped],
        "refusals": list(simulation.refusals),
    }


def as_text(simulation: Simulation) -> str:
    """The simulation in words."""
    decision = simulation.decision
    if isinstance(decision, Dial):
        lines = ["Decision: dial " + ", then ".join(each.name for each in simulation.targets)]
    else:
        lines = [f"Decision: reject with {decision.status} {decision.reason}: {decision.text}"]
    lines.append("\nSteps:")
    lines += [f"  {number}. {step}" for number, step in enumerate(decision.trail, start=1)]
    if decision.skipped:
        lines.append("\nPassed over:")
        lines += [f"  {each.name}: {each.reason}" for each in decision.skipped]
    for number, each in enumerate(simulation.targets, start=1):
        lines.append(f"\nTarget {number}: {each.name} ({each.caption})")
        lines += [f"  {line}" for line in each.invite.replace("\r\n", "\n").rstrip("\n").split("\n")]
    return "\n".join(printable(line, "?") for text in lines for line in text.split("\n"))
