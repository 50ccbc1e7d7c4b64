"""The types of the fixtures of tests/wire that start real processes."""

from __future__ import annotations

from collections.abc import Callable

from support.baresip import Baresip
from support.running_engine import RunningEngine
from support.server import RunningServer
from support.sipp import Sipp
from support.udp_peers import Caller, Carrier

StartServer = Callable[..., RunningServer]
StartSipp = Callable[..., Sipp]
StartPhone = Callable[..., Baresip]
StartEngine = Callable[..., RunningEngine]
StartCarrier = Callable[..., Carrier]
StartCaller = Callable[..., Caller]
