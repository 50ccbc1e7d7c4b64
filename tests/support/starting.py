"""The types of the fixtures of tests/wire that start real processes."""

from __future__ import annotations

from collections.abc import Callable

from support.baresip import Baresip
from support.server import RunningServer
from support.sipp import Sipp

StartServer = Callable[..., RunningServer]
StartSipp = Callable[..., Sipp]
StartPhone = Callable[..., Baresip]
