"""The compiled dial plan of one configuration: what `decide` looks numbers up in."""

from __future__ import annotations

from collections.abc import Mapping

from app.dialplan.prefix_tree import PrefixTree
from app.records import AnalyzeCalledNumber, Configuration, ExternalLine, LocalUser, SipTrunk


class DialPlan:
    """Compiled once per configuration and never changed; a new configuration gets a new plan."""

    __slots__ = ("analyze_called", "configuration", "lines", "system", "trunks", "users")

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.system = configuration.system
        self.users: Mapping[str, LocalUser] = configuration.users_by_number
        self.trunks: Mapping[int, SipTrunk] = {each.id: each for each in configuration.records(SipTrunk)}
        self.lines: Mapping[int, ExternalLine] = {each.id: each for each in configuration.records(ExternalLine)}
        self.analyze_called = PrefixTree((each.prefix, each) for each in configuration.records(AnalyzeCalledNumber))
