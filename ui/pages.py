"""Every page of the window by its name: its title, its icon and how it is made; and the menus that lead there."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from PySide6.QtWidgets import QWidget

from app.records import System
from ui.monitor.alarms import AlarmsPage
from ui.monitor.bans import BansPage
from ui.monitor.call_records import CallRecordsPage
from ui.monitor.line_status import LineStatusPage
from ui.monitor.live_calls import LiveCallsPage
from ui.monitor.overview import OverviewPage
from ui.monitor.rejected_sources import RejectedSourcesPage
from ui.monitor.trunk_status import TrunkStatusPage
from ui.records.record_page import RecordPage, record_type
from ui.simulator import SimulatorPage
from ui.workspace import Workspace


class PageEntry(NamedTuple):
    """A page as a menu and the navigation list it."""

    action: str
    """The object name of the action: `data.sip_trunks`."""
    name: str
    """The page's name: `sip_trunks` is `page.sip_trunks`."""
    title: str
    icon: str
    shortcut: str = ""


RECORD_ICONS = {
    "system": "system",
    "local_users": "users",
    "external_lines": "line",
    "sip_trunks": "trunk",
    "analyze_caller_numbers": "analyze",
    "analyze_called_numbers": "analyze",
    "refine_caller_numbers": "refine",
    "refine_called_numbers": "refine",
    "number_transitions": "transition",
    "routing_groups": "group",
    "number_lists": "list",
    "address_lists": "shield",
}


def _records(menu: str, *tables: str) -> tuple[PageEntry, ...]:
    return tuple(
        PageEntry(f"{menu}.{table}", table, record_type(table).plural, RECORD_ICONS[table]) for table in tables
    )


PAGE_MENUS: dict[str, tuple[PageEntry, ...]] = {
    "&Data": _records("data", System.table, "local_users", "external_lines", "sip_trunks"),
    "Dial &plan": (
        *_records(
            "dial_plan",
            "analyze_caller_numbers",
            "analyze_called_numbers",
            "refine_caller_numbers",
            "refine_called_numbers",
            "number_transitions",
            "routing_groups",
        ),
        PageEntry("dial_plan.simulator", "simulator", "Simulator", "simulator", "F9"),
    ),
    "&Services": _records("services", "number_lists", "address_lists"),
    "&Monitor": (
        PageEntry("monitor.overview", "overview", "Overview", "overview"),
        PageEntry("monitor.live_calls", "live_calls", "Live calls", "calls"),
        PageEntry("monitor.trunk_status", "trunk_status", "Trunk status", "status"),
        PageEntry("monitor.line_status", "line_status", "Line status", "line"),
        PageEntry("monitor.rejected_sources", "rejected_sources", "Rejected sources", "rejected"),
        PageEntry("monitor.bans", "bans", "Bans", "ban"),
        PageEntry("monitor.alarms", "alarms", "Alarms", "alarm"),
        PageEntry("monitor.call_records", "call_records", "Call records", "records"),
    ),
}
"""The menus that lead to pages, in their order."""

PAGES: dict[str, PageEntry] = {entry.name: entry for entries in PAGE_MENUS.values() for entry in entries}


MAKERS: dict[str, Callable[[Workspace], QWidget]] = {
    "overview": OverviewPage,
    "live_calls": LiveCallsPage,
    "trunk_status": TrunkStatusPage,
    "line_status": LineStatusPage,
    "rejected_sources": RejectedSourcesPage,
    "bans": BansPage,
    "alarms": AlarmsPage,
    "call_records": CallRecordsPage,
    "simulator": SimulatorPage,
}


def make_page(name: str, workspace: Workspace) -> QWidget:
    """Make a page by its name; every name that is not above is a table of records."""
    maker = MAKERS.get(name)
    return maker(workspace) if maker else RecordPage(workspace, record_type(name))
