"""A media worker that dies or hangs is replaced, and its calls go on where they were."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import sys
import time
from multiprocessing import active_children

import pytest
from support.ports import LoopbackNetwork
from support.waiting import until
from wire.media.audio import Call, Phone, media, run

from app.media import control as control_module
from app.media.control import MediaControl, Side, SideSettings
from app.media.rtp import parse_rtp

pytestmark = [
    pytest.mark.wire,
    pytest.mark.skipif(sys.platform == "win32", reason="kills by signal"),
    pytest.mark.expects_log("media worker"),
]


@pytest.mark.parametrize("spare_worker", [True, False], ids=["with a spare one", "without"])
def test_its_calls_go_on_at_the_same_ports(network: LoopbackNetwork, spare_worker: bool) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, spare_worker=spare_worker) as (control, heard, _):
            if spare_worker:
                await until(lambda: control._spare is not None and control._spare.ready, "the spare worker")
            calls = [
                Call(control, relay, Phone(network.address(11 + number)), Phone(network.address(111 + number)))
                for number in range(5)
            ]
            for call in calls:
                await call.negotiate(call.caller.sdp("0 101"), call.called.sdp("0 96")).connect()
            await until(lambda: len(heard.statistics) >= 20, "figures from before")
            before = {call: call.session.report() for call in calls}
            targets = [(call.caller_target, call.called_target) for call in calls]
            (killed,) = control.worker_pids
            os.kill(killed, signal.SIGKILL)
            at = time.monotonic()
            for call in calls:
                call.caller.received.clear()
                call.called.received.clear()

            def alive() -> bool:
                for call in calls:
                    # From the ports where they were, with the numbers as they were mapped.
                    call.caller.say(call.caller_target, payload_type=101, payload=b"\x01\x0a\x00\xa0")
                    call.called.say(call.called_target)
                    call.caller.hear()
                    call.called.hear()
                return all(call.caller.received and call.called.received for call in calls)

            await until(alive, "audio again", 5)
            assert time.monotonic() - at < (0.5 if spare_worker else 2.5)
            assert [(call.caller_target, call.called_target) for call in calls] == targets
            assert {parse_rtp(data).payload_type for call in calls for data in call.called.received} == {96}
            (failure,) = heard.failures
            assert (failure.sessions, failure.reason) == (5, "ended by signal 9")
            await until(lambda: heard.restored, "the all-clear")
            assert heard.restored[0].sessions == 5
            assert control.worker_pids != (killed,)
            # The counts go on.
            heard.statistics.clear()
            await until(lambda: len(heard.statistics) >= 20, "figures from afterwards")
            for call in calls:
                assert call.session.report().caller.packets > before[call].caller.packets
                call.close()

    run(main())


def test_it_takes_over_who_was_learned(network: LoopbackNetwork) -> None:
    """Behind NAT the new worker does not learn again: a stranger cannot use the moment."""

    async def main() -> None:
        relay = network.address(1)
        async with media(relay) as (control, heard, _):
            settings = SideSettings(relay, sip_source=network.address(11))
            call = Call(control, relay, Phone(network.address(11)), Phone(network.address(12)), settings)
            await call.negotiate(call.caller.sdp(host="10.77.1.2", port=5555)).connect()
            await until(lambda: (0, False) in call.session.learned, "the caller to be learned")
            os.kill(control.worker_pids[0], signal.SIGKILL)
            await until(lambda: heard.restored, "the new worker")
            neighbour = Phone(network.address(11))
            neighbour.say(call.caller_target, 10)
            call.caller.received.clear()
            call.called.received.clear()
            await call.connect()
            assert {parse_rtp(data).ssrc for data in call.called.received} == {call.caller.ssrc}
            call.close()

    run(main())


def test_it_may_die_more_than_once(network: LoopbackNetwork) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, spare_worker=True) as (control, heard, _):
            call = (
                await Call(control, relay, Phone(network.address(11)), Phone(network.address(12))).negotiate().connect()
            )
            for times in (1, 2):
                await until(lambda: control._spare is not None and control._spare.ready, "the spare worker")
                assert control._spare is not None
                os.kill(control._spare.pid, signal.SIGKILL)
                os.kill(control.worker_pids[0], signal.SIGKILL)
                await until(lambda times=times: len(heard.restored) >= times, "the new worker")
                call.caller.received.clear()
                call.called.received.clear()
                await call.connect()
            assert len(heard.failures) >= 2
            call.close()

    run(main())


def test_calls_never_wait_while_a_spare_one_is_there(network: LoopbackNetwork) -> None:
    """One that dies quickly, again and again, costs pauses between the starts of processes, but no audio."""

    async def main() -> None:
        relay = network.address(1)
        async with media(relay, spare_worker=True) as (control, heard, _):
            call = (
                await Call(control, relay, Phone(network.address(11)), Phone(network.address(12))).negotiate().connect()
            )
            for times in (1, 2, 3, 4):
                await until(lambda: control._spare is not None and control._spare.ready, "the spare worker")
                os.kill(control.worker_pids[0], signal.SIGKILL)
                await until(lambda times=times: len(heard.restored) >= times, "the new worker")
                assert heard.restored[-1].seconds < 0.25
            call.caller.received.clear()
            call.called.received.clear()
            await call.connect()
            call.close()

    run(main())


def test_a_call_that_ends_meanwhile_gives_its_ports_back(network: LoopbackNetwork) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay) as (control, heard, _):
            free = control.ports_available(relay)
            call = (
                await Call(control, relay, Phone(network.address(11)), Phone(network.address(12))).negotiate().connect()
            )
            other = Call(control, relay, Phone(network.address(13)), Phone(network.address(14))).negotiate()
            os.kill(control.worker_pids[0], signal.SIGKILL)
            reports = []
            call.session.close(reports.append)
            await until(lambda: reports, "the report")
            await until(lambda: heard.restored, "the new worker")
            # A call that begins and one that goes on.
            new = (
                await Call(control, relay, Phone(network.address(15)), Phone(network.address(16))).negotiate().connect()
            )
            await other.connect()
            for each in (call, other, new):
                each.close()
            await until(lambda: control.ports_available(relay) == free, "all ports")

    run(main())


def test_a_worker_that_hangs_is_replaced(network: LoopbackNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr(control_module, "_HUNG_AFTER", 1.5)
        relay = network.address(1)
        async with media(relay) as (control, heard, _):
            call = (
                await Call(control, relay, Phone(network.address(11)), Phone(network.address(12))).negotiate().connect()
            )
            os.kill(control.worker_pids[0], signal.SIGSTOP)
            await until(lambda: heard.restored, "the new worker")
            call.caller.received.clear()
            call.called.received.clear()
            await call.connect()
            call.close()

    run(main())


def test_a_spare_worker_that_hangs_is_replaced_before_it_is_needed(
    network: LoopbackNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spare_of(control: MediaControl) -> int | None:
        return next((each.pid for each in active_children() if each.pid not in control.worker_pids), None)

    async def main() -> None:
        monkeypatch.setattr(control_module, "_TICK", 0.1)
        monkeypatch.setattr(control_module, "_HUNG_AFTER", 0.6)
        monkeypatch.setattr(control_module, "_LONGEST_PAUSE", 0.1)
        async with media(network.address(1), spare_worker=True) as (control, heard, _):
            await until(lambda: control._spare is not None and control._spare.ready, "the spare worker")
            hung = spare_of(control)
            assert hung is not None
            os.kill(hung, signal.SIGSTOP)
            await until(lambda: spare_of(control) not in (None, hung), "another spare worker")
            assert not heard.failures

    run(main())


def test_a_worker_is_not_blamed_for_what_the_engine_slept_through(
    network: LoopbackNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A computer that was suspended, or an engine that got no processor: the signs of life lie unread."""

    async def main() -> None:
        monkeypatch.setattr(control_module, "_TICK", 0.1)
        monkeypatch.setattr(control_module, "_HUNG_AFTER", 1.0)
        async with media(network.address(1)) as (control, heard, _):
            worker = control.worker_pids
            loop = asyncio.get_running_loop()
            usual = loop.time
            for slept in (3.0, 6.0):
                monkeypatch.setattr(loop, "time", lambda slept=slept: usual() + slept)
                await asyncio.sleep(0.3)
                assert control.worker_pids == worker and not heard.failures
            # One that hangs after that is noticed as ever.
            os.kill(worker[0], signal.SIGSTOP)
            await until(lambda: heard.restored, "the new worker")

    run(main())


def test_every_worker_goes_first_where_that_is_wished(
    network: LoopbackNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    first: list[tuple[int, int]] = []
    back: list[int] = []
    monkeypatch.setattr(control_module, "put_first", lambda process, of: first.append((process, of)))
    monkeypatch.setattr(control_module, "put_back", back.append)

    async def main() -> None:
        async with media(network.address(1), urgent=True, processes=2) as (control, heard, _):
            assert {(pid, 2) for pid in control.worker_pids} <= set(first)
            os.kill(control.worker_pids[0], signal.SIGKILL)
            await until(lambda: heard.restored, "the new worker")
            assert {(pid, 2) for pid in control.worker_pids} <= set(first)
            before = control.settings
            first.clear()
            control.apply(dataclasses.replace(before, urgent=False))
            assert set(back) == set(control.worker_pids) and not first
            control.apply(before)
            assert set(first) == {(pid, 2) for pid in control.worker_pids}
        first.clear()
        async with media(network.address(1)):
            assert not first

    run(main())


def test_several_workers_share_the_calls(network: LoopbackNetwork) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=2) as (control, heard, _):
            calls = [
                Call(control, relay, Phone(network.address(11 + number)), Phone(network.address(111 + number)))
                for number in range(6)
            ]
            assert sorted(call.session.slot for call in calls) == [0, 0, 0, 1, 1, 1]
            for call in calls:
                await call.negotiate().connect()
            os.kill(control.worker_pids[1], signal.SIGKILL)
            await until(lambda: heard.restored, "the new worker")
            assert heard.failures[0].sessions == 3
            for call in calls:
                call.caller.received.clear()
                call.called.received.clear()
                await call.connect()
                call.close()

    run(main())


def test_nothing_is_left_of_the_workers(network: LoopbackNetwork) -> None:
    async def main() -> tuple[int, ...]:
        async with media(network.address(1), processes=2, spare_worker=True) as (control, _, _):
            await until(lambda: control._spare is not None and control._spare.ready, "the spare worker")
            assert control._spare is not None
            pids = (*control.worker_pids, control._spare.pid)
            assert len(set(pids)) == 3
        return pids

    for pid in run(main()):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_worker_ends_when_the_program_does(network: LoopbackNetwork) -> None:
    """The engine is killed: its workers must not stay."""
    script = (
        "import asyncio, sys\n"
        "from app.media.control import MediaControl, MediaSettings\n"
        "async def main():\n"
        "    control = MediaControl(MediaSettings())\n"
        "    await control.start()\n"
        "    print(*control.worker_pids, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )

    async def main() -> None:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        pids = [int(word) for word in (await process.stdout.readline()).split()]
        assert pids
        process.kill()
        await process.wait()

        def gone() -> bool:
            for pid in pids:
                try:
                    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                        if file.read().rsplit(")", 1)[1].split()[0] != "Z":
                            return False
                except FileNotFoundError:
                    continue
            return True

        await until(gone, "the workers to end")

    run(main())


def test_a_worker_that_cannot_start_is_told(network: LoopbackNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        from app.media import link

        monkeypatch.setattr(link, "run_worker", os._exit)
        monkeypatch.setattr(control_module, "_START_TIMEOUT", 1.0)
        with pytest.raises(TimeoutError):
            async with media(network.address(1)):
                pass

    run(main())


def test_digits_and_statistics_of_unknown_calls_are_ignored(network: LoopbackNetwork) -> None:
    """Reports that cross the end of a call."""

    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=0) as (control, heard, _):
            call = Call(control, relay, Phone(network.address(11)), Phone(network.address(12))).negotiate()
            number = call.session.number
            link = control._slots[0].link
            assert link is not None
            call.session.close()
            assert call.session.close().caller.packets == 0
            assert not call.session.send_dtmf(Side.CALLED, "1")
            row = tuple(call.session._rows[0])
            for message in (
                (5, ((number, row, row, 1.0),)),
                (4, number, 0, False, "x", 1),
                (6, number, 0, "1", 1, True),
                (3, number, "x"),
            ):
                control.link_message(link, message)
            await asyncio.sleep(0)
            assert heard.digits == [] and heard.statistics == []
            call.close()

    run(main())
