"""Measure what receiving costs: processor time per datagram and loss, for each way of reading on each event loop.

From the repository root: `python -m tests.bench.transport`. Each row is a fresh process that gets datagrams of 900
bytes at a fixed rate and answers every one. "bare" is a plain blocking loop of recvfrom and sendto, the least that
Python can do, and the unit of the last column; "endpoint" is asyncio's own datagram endpoint. With `--stall 60` the
loop is kept busy for 60 ms four times a second, as a window does when it repaints, and with `--buffer 106496` the
system grants the receive buffer that Linux grants by default.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from app.sip.flow import Flow  # noqa: E402
from app.sip.transport import ListenAddress, TransportLimits, Transports  # noqa: E402

ANSWER = b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n".ljust(400, b" ")
SENDER = """
import socket, sys, time
port, rate, seconds = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
data = b"OPTIONS sip:x SIP/2.0".ljust(900, b"x")
sent, begun = 0, time.perf_counter()
while sent < rate * seconds:
    due = min(int((time.perf_counter() - begun) * rate), int(rate * seconds))
    while sent < due:
        sender.sendto(data, ("127.0.0.1", port))
        sent += 1
    time.sleep(0.0008)
"""


class Receiver:
    """Counts and answers."""

    def __init__(self) -> None:
        self.received = 0
        self.batches = 0

    async def own(self, mode: Any, buffer: int) -> tuple[int, Callable[[], Coroutine[Any, Any, None]]]:
        """Trunkline's own transports."""

        def on_messages(batch: list[tuple[bytes, Flow]]) -> None:
            self.received += len(batch)
            self.batches += 1
            for _data, flow in batch:
                transports.send(flow, ANSWER)

        limits = TransportLimits(receive_buffer=buffer)
        transports = Transports(on_messages, lambda _flow, _error: None, limits=limits, receive_mode=mode)
        await transports.start([ListenAddress("udp", "127.0.0.1", 0)], None)
        return transports.listening[0].port, transports.stop

    async def endpoint(self, buffer: int) -> tuple[int, Callable[[], Coroutine[Any, Any, None]]]:
        """asyncio's datagram endpoint."""
        receiver = self

        class Answering(asyncio.DatagramProtocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport: Any = transport

            def datagram_received(self, data: bytes, source: Any) -> None:
                receiver.received += 1
                receiver.batches += 1
                self.transport.sendto(ANSWER, source)

        transport, _protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            Answering, local_addr=("127.0.0.1", 0)
        )
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)

        async def stop() -> None:
            transport.close()

        return transport.get_extra_info("sockname")[1], stop

    async def bare(self, buffer: int) -> tuple[int, Callable[[], Coroutine[Any, Any, None]]]:
        """A blocking loop in a thread, with nothing else to do."""
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.bind(("127.0.0.1", 0))
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)

        def run() -> None:
            while True:
                data, source = opened.recvfrom(65535)
                if not data:
                    return
                self.received += 1
                self.batches += 1
                opened.sendto(ANSWER, source)

        threading.Thread(target=run, daemon=True).start()

        async def stop() -> None:
            opened.sendto(b"", opened.getsockname())

        return opened.getsockname()[1], stop


async def measure(arguments: argparse.Namespace) -> dict[str, float]:
    receiver = Receiver()
    ways = {"bare": receiver.bare, "endpoint": receiver.endpoint}
    mode = arguments.mode
    port, stop = await (ways[mode](arguments.buffer) if mode in ways else receiver.own(mode, arguments.buffer))
    command = [sys.executable, "-S", "-E", "-c", SENDER, str(port), str(arguments.rate), str(arguments.seconds)]
    sender = subprocess.Popen(command)  # noqa: ASYNC220 (before anything is measured)
    await asyncio.sleep(0.2)
    begun, begun_count, burnt = time.process_time(), receiver.received, 0.0
    end = time.monotonic() + arguments.seconds + 0.4
    while time.monotonic() < end:
        await asyncio.sleep(0.25)
        if arguments.stall:
            until = time.monotonic() + arguments.stall / 1000
            used = time.process_time()
            while time.monotonic() < until:
                sum(range(2000))
            burnt += time.process_time() - used
    used = time.process_time() - begun - burnt
    sender.wait()
    await stop()
    wanted = int(arguments.rate * arguments.seconds)
    counted = max(receiver.received - begun_count, 1)
    return {
        "microseconds": used / counted * 1e6,
        "batch": receiver.received / max(receiver.batches, 1),
        "lost": 1 - receiver.received / wanted,
    }


def run_child(arguments: argparse.Namespace) -> None:
    """One measurement on the loop that was asked for; the result as JSON on stdout."""
    if arguments.loop == "qasync":
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        import qasync
        from PySide6.QtCore import QCoreApplication

        application = QCoreApplication([])
        result = qasync.QEventLoop(application).run_until_complete(measure(arguments))
    elif arguments.loop == "uvloop":
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            result = runner.run(measure(arguments))
    else:
        result = asyncio.run(measure(arguments))
    print(json.dumps(result), flush=True)
    os._exit(0)


def run_one(arguments: argparse.Namespace, loop: str, mode: str, rate: float) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", "--loop", loop, "--mode", mode, "--rate", str(rate)]
    command += ["--seconds", str(arguments.seconds), "--stall", str(arguments.stall), "--buffer", str(arguments.buffer)]
    results: list[dict[str, float]] = []
    for _ in range(arguments.repeat):
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        results.append(json.loads(output))
    return {name: statistics.median(each[name] for each in results) for name in results[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", default="500,5000,14000", help="datagrams per second")
    parser.add_argument("--loops", default="asyncio,uvloop,qasync")
    parser.add_argument("--modes", default="endpoint,thread,reader")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--repeat", type=int, default=3, help="the median of so many runs is printed")
    parser.add_argument("--stall", type=float, default=0.0, help="ms for which the loop is busy four times a second")
    parser.add_argument("--buffer", type=int, default=4 * 1024 * 1024, help="bytes of receive buffer asked for")
    for name, kind in (("--loop", str), ("--mode", str), ("--rate", float)):
        parser.add_argument(name, type=kind, help=argparse.SUPPRESS)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        run_child(arguments)
    print(f"{'rate':>7} {'loop':8} {'way':9} {'us/datagram':>12} {'per wake':>9} {'lost':>7} {'to bare':>8}")
    for rate in (float(each) for each in arguments.rates.split(",")):
        bare = run_one(arguments, "asyncio", "bare", rate)
        rows = [("-", "bare", bare)]
        for loop in arguments.loops.split(","):
            rows += [(loop, mode, run_one(arguments, loop, mode, rate)) for mode in arguments.modes.split(",")]
        for loop, mode, row in rows:
            ratio = row["microseconds"] / bare["microseconds"]
            cost = f"{row['microseconds']:12.1f} {row['batch']:9.1f}"
            print(f"{rate:7.0f} {loop:8} {mode:9} {cost} {row['lost']:7.1%} {ratio:8.2f}", flush=True)


if __name__ == "__main__":
    main()
