"""Tones in recordings: which frequency a sound has, and how much of it (Goertzel)."""

from __future__ import annotations

import math
import wave
from array import array
from pathlib import Path


def read_wave(path: Path) -> tuple[int, array[int]]:
    """The sample rate and the first channel's samples of a 16 bit WAV file."""
    with wave.open(str(path)) as sound:
        assert sound.getsampwidth() == 2, f"{path} has {8 * sound.getsampwidth()} bit samples"
        samples = array("h", sound.readframes(sound.getnframes()))
        return sound.getframerate(), samples[:: sound.getnchannels()]


def share_of(frequency: float, rate: int, samples: array[int]) -> float:
    """How much of the power of the samples is at this frequency, 0 to 1."""
    power = sum(sample * sample for sample in samples)
    if not power:
        return 0.0
    omega = 2 * math.pi * frequency / rate
    coefficient = 2 * math.cos(omega)
    before = last = 0.0
    for sample in samples:
        before, last = last, sample + coefficient * last - before
    magnitude = last * last + before * before - coefficient * last * before
    return 2 * magnitude / (len(samples) * power)


def seconds_with(frequency: float, path: Path) -> float:
    """For how long the tone is clearly there, counted in tenths of a second."""
    rate, samples = read_wave(path)
    step = rate // 10
    windows = (samples[start : start + step] for start in range(0, len(samples) - step + 1, step))
    return sum(0.1 for window in windows if share_of(frequency, rate, window) > 0.5)
