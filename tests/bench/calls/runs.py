"""One run of calls through a server, over UDP, TCP or TLS, with SIPp on both sides."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.certificates import Authority
from support.ports import LoopbackNetwork, wait_for_tcp
from support.sipp import Sipp

from tests.bench.calls.measuring import cpu_seconds, wait_until_idle

HERE = Path(__file__).resolve().parent
CARRIER, CALLER, SERVER, PROXY = 10, 20, 1, 2
TRANSPORTS = ("udp", "tcp", "tls")
CARRIER_SCENARIO = HERE / "carrier.xml"
PREFIXES = {"udp": "13", "tcp": "14", "tls": "15"}
PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061}
TUNNEL_PORT = 5062
"""Where the caller's end of the TLS tunnel takes SIPp's connection, which knows no TLS."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run at one rate."""

    calls: int
    failed: int
    retransmissions: int
    cpu_ms_per_call: float
    calls_per_second: float
    system_share: float
    """How much of the CPU was spent in the kernel, 0 to 1."""


def document(network: LoopbackNetwork) -> dict[str, object]:
    """The caller's trunk and the carrier's by each transport, all without practical limits, and a prefix for each."""
    free = {"max_outgoing_calls": 100_000, "max_incoming_calls": 100_000, "tls_verify": False}
    carriers = [
        {
            "id": id_,
            "description": f"Carrier, {transport}",
            "server_address": network.address(CARRIER),
            "transport": transport,
            "server_port": PORTS[transport],
            **free,
        }
        for id_, transport in enumerate(TRANSPORTS, 1)
    ]
    return {
        "system": {"sip_tls_port": PORTS["tls"]},
        "sip_trunks": [
            *carriers,
            {"id": 9, "description": "Caller", "server_address": network.address(CALLER), **free},
        ],
        "analyze_called_numbers": [
            {"prefix": PREFIXES[transport], "route_type": "sip_trunk", "target_id": id_}
            for id_, transport in enumerate(TRANSPORTS, 1)
        ],
    }


def run_once(
    pid: int,
    network: LoopbackNetwork,
    rate: float,
    seconds: float,
    talk: int,
    transport: str = "udp",
    server: int = SERVER,
) -> Run:
    """Calls at this rate for so long through the process `pid`, and what they cost it; `talk` is in milliseconds.

    `server` is the last byte of the address on which that process listens.
    """
    calls = max(1, round(rate * seconds))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        common: dict[str, Any] = {
            "calls": calls,
            "keep_messages": False,
            "seconds": int(seconds) + 60,
            "tcp": transport != "udp",
            "rate": rate,
        }
        carrier = Sipp(
            folder / "carrier", scenario_for(CARRIER_SCENARIO, transport, folder), network.address(CARRIER), **common
        )
        with tunnels(transport, network, folder):
            before = cpu_seconds(pid)
            started = time.monotonic()
            caller = Sipp(
                folder / "caller",
                scenario_for(HERE / "caller.xml", transport, folder),
                network.address(CALLER),
                remote=way_to_server(transport, network, server),
                called=f"{PREFIXES[transport]}5550",
                limit=100_000,
                options=("-d", str(talk)),
                **common,
            )
            result = caller.wait()
            elapsed = time.monotonic() - started - talk / 1000
            wait_until_idle(pid)
            after = cpu_seconds(pid)
        carrier.kill()
        if result.failed or result.exit_code:
            print(result.errors[:2000], file=sys.stderr)
    user, system = after[0] - before[0], after[1] - before[1]
    return Run(
        calls=result.successful,
        failed=result.failed + calls - result.created,
        retransmissions=result.retransmissions,
        cpu_ms_per_call=(user + system) * 1000 / max(1, result.successful),
        calls_per_second=result.successful / elapsed,
        system_share=system / max(0.001, user + system),
    )


def way_to_server(transport: str, network: LoopbackNetwork, server: int = SERVER) -> str:
    """Where a SIPp that calls sends to."""
    if transport == "tls":
        return f"{network.address(CALLER)}:{TUNNEL_PORT}"
    return f"{network.address(server)}:{PORTS[transport]}"


def scenario_for(path: Path, transport: str, folder: Path) -> Path:
    """The scenario; for TLS with what SIPp, which speaks TCP to the tunnel, cannot know."""
    if transport != "tls":
        return path
    text = path.read_text(encoding="latin-1").replace("[transport]", "TLS")
    if path == CARRIER_SCENARIO:
        text = text.replace("[local_port]", str(PORTS["tls"]))
    changed = folder / f"{path.stem}-tls.xml"
    changed.write_text(text, encoding="latin-1")
    return changed


@contextlib.contextmanager
def tunnels(transport: str, network: LoopbackNetwork, folder: Path) -> Iterator[None]:
    """TLS for SIPp on both sides, in a process of its own; nothing for another transport."""
    if transport != "tls":
        yield
        return
    carrier, caller, server = network.address(CARRIER), network.address(CALLER), network.address(SERVER)
    certificate, key = Authority(folder / "authority").certificate_for(carrier)
    command = [sys.executable, str(HERE / "tls_tunnel.py"), str(certificate), str(key)]
    command += [carrier, str(PORTS["tls"]), str(PORTS["tcp"]), caller, str(TUNNEL_PORT), server, str(PORTS["tls"])]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        wait_for_tcp(carrier, PORTS["tls"])
        wait_for_tcp(caller, TUNNEL_PORT)
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)


def median_run(runs: list[Run]) -> Run:
    """The run with the median CPU, with all failures and retransmissions counted."""
    middle = sorted(runs, key=lambda run: run.cpu_ms_per_call)[len(runs) // 2]
    return Run(
        calls=middle.calls,
        failed=sum(run.failed for run in runs),
        retransmissions=sum(run.retransmissions for run in runs),
        cpu_ms_per_call=middle.cpu_ms_per_call,
        calls_per_second=statistics.median(run.calls_per_second for run in runs),
        system_share=middle.system_share,
    )
