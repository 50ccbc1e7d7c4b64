"""What is wrong or without use in a configuration, found without a call: mistakes, shadows, dead ends."""

from __future__ import annotations

from app.dialplan.coverage_external import check_external
from app.dialplan.coverage_numbers import check_numbers
from app.dialplan.coverage_passwords import check_passwords
from app.dialplan.coverage_peers import check_peers
from app.dialplan.coverage_references import check_references
from app.dialplan.next_trunks import cycle_through, cycle_words, cycles
from app.dialplan.plan import DialPlan
from app.dialplan.problem import Problem
from app.events import Severity
from app.records import TABLES, Configuration, System

__all__ = ["Problem", "cycle_through", "cycle_words", "cycles", "problems"]

_TABLE_ORDER = {name: index for index, name in enumerate((System.table, *TABLES))}
_SEVERITY_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFORMATION: 2}


def problems(configuration: Configuration, plan: DialPlan | None = None) -> tuple[Problem, ...]:
    """Every problem of the enabled records: errors first, then in the order of the menus and of the ids.

    `plan` saves compiling one where there is one of the same configuration. Disabled records take no part in calls, so
    their own mistakes are not counted. The cost is linear in the number of records.
    """
    plan = plan or DialPlan(configuration)
    found = [*check_references(configuration), *check_numbers(plan), *check_peers(plan), *check_external(plan)]
    found += check_passwords(configuration)
    found.sort(key=lambda each: (_SEVERITY_ORDER[each.severity], _TABLE_ORDER[each.table], each.record_id))
    return tuple(found)
