"""An hour of every kind of call against a running server: what it holds must not grow, and each call has its record.

    python -m tests.soak [--minutes 60] [--rate 20] [--seed N] [--talk 1,12] [--every 10] [--keep FOLDER]

A hundred phones register, refresh, leave and come back by UDP, TCP and TLS; calls go between trunks (UDP, TCP, TLS,
relayed with audio), from and to phones, and are refused, cancelled, left unanswered and taken over by the next trunk.
By TLS each side verifies the other's certificate. The samples are kept as a CSV file. The exit code is 0 when
everything was flat and every record there.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import secrets
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from soak.calls import Office, document
from soak.verdict import Line, judge, recorded
from soak.watch import FIELDS, Sample, look, row
from support.certificates import Authority
from support.ports import LoopbackNetwork
from support.server import RunningServer

DRAIN_SECONDS = 45.0
"""Transactions live for 32 s after their call."""
LONG_ENOUGH = 300.0
"""A soak that is shorter has not filled what fills up once and for all: only what is held at rest is judged then."""
REPORT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How a soak is run."""

    seconds: float
    rate: float
    seed: int
    talk: tuple[float, float]
    every: float
    folder: Path


async def _sample(server: RunningServer, office: Office, settings: Settings, began: float) -> Sample:
    inside = settings.folder / "inside.json"
    sample = await asyncio.to_thread(look, server.pid, began, inside)
    sample.peers_calls = office.running
    return sample


async def _settled(server: RunningServer, office: Office, settings: Settings, began: float) -> Sample:
    """A sample of the server at rest."""
    await asyncio.sleep(2 * settings.every if settings.every < 2 else 3.0)
    return await _sample(server, office, settings, began)


async def _drained(server: RunningServer, office: Office, settings: Settings, began: float) -> Sample:
    """A sample as soon as nothing is under way any more, or when all of it had its time."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while True:
        sample = await _settled(server, office, settings, began)
        under_way = sample.calls + sample.dialogs + (sample.transactions if settings.seconds >= LONG_ENOUGH else 0)
        if not under_way or time.monotonic() >= deadline:
            return sample


async def _run(server: RunningServer, office: Office, settings: Settings) -> tuple[list[Sample], Sample, Sample]:
    """The load, and the samples: under load, and at rest before and after it."""
    began = time.monotonic()
    await office.open()
    await office.warm_up()
    before = await _settled(server, office, settings, began)
    samples: list[Sample] = []
    end = time.monotonic() + settings.seconds
    load = asyncio.get_running_loop().create_task(office.make_calls(settings.rate, lambda: time.monotonic() > end))
    reported = time.monotonic()
    with (settings.folder / "samples.csv").open("w", encoding="ascii", newline="") as file:
        table = csv.DictWriter(file, FIELDS)
        table.writeheader()
        while not load.done():
            await asyncio.wait([load], timeout=settings.every)
            samples.append(await _sample(server, office, settings, began))
            table.writerow(row(samples[-1]))
            file.flush()
            if time.monotonic() - reported >= REPORT_SECONDS:
                reported = time.monotonic()
                print(_words(samples[-1], office), flush=True)
        await load
    await office.finish(60.0)
    return samples, before, await _drained(server, office, settings, began)


def _words(sample: Sample, office: Office) -> str:
    return (
        f"{sample.seconds / 60:5.1f} min: {office.tally.begun} calls begun, {sample.calls} in progress, "
        f"{sample.rss_kib / 1024:.1f} MiB resident ({sample.anonymous_kib / 1024:.1f} without files), "
        f"{sample.descriptors} descriptors, {sample.udp_ports} UDP ports, {sample.transactions} transactions, "
        f"{sample.cpu_seconds:.0f} s of CPU, {office.repeats} repeats, {len(office.tally.troubles)} troubles"
    )


def soak(settings: Settings) -> bool:
    """Run it and print the table; whether all is well."""
    network = LoopbackNetwork()
    authority = Authority(settings.folder / "authority")
    office = Office(network.address, authority, settings.seed, settings.talk)
    told = str(settings.folder / "inside.json"), str(min(5.0, settings.every))
    server = RunningServer(
        settings.folder / "data",
        document(network.address, authority),
        network.address(1),
        expected=("more comes in than this server can do",),
        environment={"SSL_CERT_FILE": str(authority.path)},
        interpreter_options=("-m", "tests.soak.inside", *told),
    )
    server.start()
    try:
        samples, before, after = asyncio.run(_with(server, office, settings))
        server.stop()
    except BaseException:
        server.kill()
        raise
    finally:
        network.close()
    return _report(settings, office, judge(samples, before, after), samples)


async def _with(server: RunningServer, office: Office, settings: Settings) -> tuple[list[Sample], Sample, Sample]:
    try:
        return await _run(server, office, settings)
    finally:
        await office.close()


def _report(settings: Settings, office: Office, lines: list[Line], samples: list[Sample]) -> bool:
    tally = office.tally
    statuses, causes, unfinished = recorded(settings.folder / "data")
    differences = {
        status: (tally.by_status[status], statuses[status])
        for status in sorted({*tally.by_status, *statuses})
        if tally.by_status[status] != statuses[status]
    }
    print(f"\n{'what':28} {'before':>10} {'after':>10} {'bound':>10}")
    for line in lines:
        print(
            f"{line.name:28} {line.before:10.0f} {line.after:10.0f} {line.bound:10.0f}{'' if line.flat else '  GREW'}"
        )
    cpu = samples[-1].cpu_seconds - samples[0].cpu_seconds
    passed = max(0.001, samples[-1].seconds - samples[0].seconds)
    print(f"\nCPU: {cpu / passed:.1%} of a core, {cpu * 1000 / max(1, tally.begun):.2f} ms per call with everything")
    print(f"calls: {tally.begun} made, {sum(statuses.values())} recorded, {unfinished} without an end")
    print("by status (peers, records): " + _pairs(tally.by_status, statuses))
    print(f"end causes: {dict(causes)}")
    print(f"kinds: {dict(tally.by_kind)}")
    print(
        f"{tally.registrations} registrations, {tally.strangers} strangers turned away, {office.repeats} repeats, "
        f"{tally.overloaded} refused after the machine had stood still, "
        f"{office.audio.calls} streams: {office.audio.sent} packets sent, {office.audio.received} received"
    )
    for text in tally.troubles[:20]:
        print(f"trouble: {text}")
    # On a machine of its own it is none at all.
    calm = tally.overloaded <= tally.begun * 0.002 + 2
    heard = office.audio.received >= office.audio.sent * 0.97
    right = not differences and not unfinished and sum(statuses.values()) == tally.begun
    grew = [line.name for line in lines if not line.flat and (line.at_rest or settings.seconds >= LONG_ENOUGH)]
    print(f"samples: {settings.folder / 'samples.csv'}; log: {settings.folder / 'data-server-1.log'}")
    what = "memory, descriptors and ports" if settings.seconds >= LONG_ENOUGH else "descriptors and ports"
    print(
        f"{what} flat: {'NO: ' + ', '.join(grew) if grew else 'yes'}; "
        f"records equal to calls: {'yes' if right else f'NO: {differences}'}; "
        f"audio heard: {'yes' if heard else 'NO'}; calm: {'yes' if calm else 'NO'}; troubles: {len(tally.troubles)}"
    )
    return not grew and right and heard and calm and not tally.troubles


def _pairs(one: dict[int, int], other: dict[int, int]) -> str:
    return ", ".join(f"{key} {one.get(key, 0)}/{other.get(key, 0)}" for key in sorted({*one, *other}))


def parse_arguments() -> Settings:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60, help="how long calls are made (60)")
    parser.add_argument("--rate", type=float, default=20, help="calls per second (20)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="of the mix of calls")
    parser.add_argument("--talk", default="1,12", help="seconds that most calls talk, from,to (1,12)")
    parser.add_argument("--every", type=float, default=10, help="seconds between samples (10)")
    parser.add_argument("--keep", type=Path, help="folder for data, log and samples (a temporary one that is kept)")
    options = parser.parse_args()
    low, high = (float(each) for each in options.talk.split(","))
    folder = options.keep or Path(tempfile.mkdtemp(prefix="soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    return Settings(options.minutes * 60, options.rate, options.seed, (low, high), options.every, folder)


def main() -> int:
    settings = parse_arguments()
    print(f"{settings.seconds / 60:g} minutes at {settings.rate:g} calls/s, seed {settings.seed}: {settings.folder}")
    return 0 if soak(settings) else 1


if __name__ == "__main__":
    sys.exit(main())
