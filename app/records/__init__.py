"""Every configuration record, declared once: from it come table, validation, form, columns, import, export and help."""

from app.records.base import Record, Shown, fields_of
from app.records.configuration import TABLES, Change, Configuration, Table
from app.records.dial_plan import (
    AnalyzeCalledNumber,
    AnalyzeCallerNumber,
    NumberTransition,
    RefineCalledNumber,
    RefineCallerNumber,
    RoutingGroup,
    RoutingGroupMember,
)
from app.records.lists import AddressList, NumberList
from app.records.system import System
from app.records.trunks import ExternalLine, SipTrunk
from app.records.types import (
    AddressAction,
    AudioFirst,
    EarlyMedia,
    GroupStrategy,
    MailSecurity,
    RelayMedia,
    RouteType,
    TransitionType,
    Transport,
    UntrustedCalls,
)
from app.records.users import LocalUser

__all__ = [
    "TABLES",
    "AddressAction",
    "AddressList",
    "AnalyzeCalledNumber",
    "AnalyzeCallerNumber",
    "AudioFirst",
    "Change",
    "Configuration",
    "EarlyMedia",
    "ExternalLine",
    "GroupStrategy",
    "LocalUser",
    "MailSecurity",
    "NumberList",
    "NumberTransition",
    "Record",
    "RefineCalledNumber",
    "RefineCallerNumber",
    "RelayMedia",
    "RouteType",
    "RoutingGroup",
    "RoutingGroupMember",
    "Shown",
    "SipTrunk",
    "System",
    "Table",
    "TransitionType",
    "Transport",
    "UntrustedCalls",
    "fields_of",
]
