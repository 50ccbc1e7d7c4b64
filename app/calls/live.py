"""The live state that the dial plan asks: counters, registrations and health in one place."""

from __future__ import annotations

from app.calls.counters import CallCounters, Counted, RateLimit
from app.calls.external_calls import ExternalCalls
from app.calls.lines import Lines
from app.calls.registrar import Registrar
from app.calls.trunks import Trunks
from app.clock import Clock
from app.dialplan.live import ExternalUse
from app.records import Configuration, ExternalLine


class Live:
    """`app.dialplan.live.LiveState` over the running server."""

    def __init__(
        self,
        clock: Clock,
        counters: CallCounters,
        trunks: Trunks,
        registrar: Registrar,
        lines: Lines,
        external_calls: ExternalCalls,
    ) -> None:
        self._clock = clock
        self._counters = counters
        self._trunks = trunks
        self._registrar = registrar
        self._lines = lines
        self._external_calls = external_calls
        self._turns: dict[int, int] = {}
        self._line_limits: dict[int, int] = {}
        self._line_rates: dict[int, RateLimit] = {}
        self._trusted: frozenset[str] = frozenset()

    def configure(self, configuration: Configuration) -> None:
        """Take a changed configuration."""
        self._line_limits = {
            line.id: line.max_calls_per_second
            for line in configuration.records(ExternalLine)
            if line.max_calls_per_second
        }
        self._trusted = frozenset(
            number for number, user in configuration.users_by_number.items() if user.trusted_address
        )

    def trunk_active_in(self, trunk_id: int) -> int:
        return self._counters.count(Counted.TRUNK_IN, trunk_id)

    def trunk_active_out(self, trunk_id: int) -> int:
        return self._counters.count(Counted.TRUNK_OUT, trunk_id)

    def trunk_down(self, trunk_id: int) -> str:
        return self._trunks.down(trunk_id)

    def trunk_rests(self, trunk_id: int) -> str:
        return self._trunks.rests(trunk_id)

    def trunk_rate_full(self, trunk_id: int) -> bool:
        return self._trunks.rate_full(trunk_id)

    def line_active_in(self, line_id: int) -> int:
        return self._counters.count(Counted.LINE_IN, line_id)

    def line_active_out(self, line_id: int) -> int:
        return self._counters.count(Counted.LINE_OUT, line_id)

    def line_down(self, line_id: int) -> str:
        return self._lines.down(line_id)

    def line_rests(self, line_id: int) -> str:
        return self._lines.rests(line_id)

    def line_rate_full(self, line_id: int) -> bool:
        rate = self._line_rates.get(line_id)
        return rate is not None and rate.full(self._line_limits.get(line_id, 0), self._clock.monotonic())

    def user_contacts(self, number: str) -> int:
        return self._registrar.count(number) + (number in self._trusted)

    def user_active(self, number: str) -> int:
        return self._counters.count(Counted.USER_IN, number) + self._counters.count(Counted.USER_OUT, number)

    def user_active_out(self, number: str) -> int:
        return self._counters.count(Counted.USER_OUT, number)

    def external_use(self, source: str) -> ExternalUse:
        return self._external_calls.use(source)

    def round_robin(self, group_id: int) -> int:
        return self._turns.get(group_id, 0)

    def took_turn(self, group_id: int) -> None:
        """A call was routed through a routing group."""
        self._turns[group_id] = self._turns.get(group_id, 0) + 1

    def count_line_rate(self, line_id: int) -> None:
        """A call goes out through a line now."""
        if line_id in self._line_limits:
            self._line_rates.setdefault(line_id, RateLimit()).add(self._clock.monotonic())
