"""A drum beat with a bass line, synthesised: nothing recorded, nothing borrowed."""

import numpy as np

RATE = 44100


def beat_track(bpm: float, seconds: float, seed: int = 0) -> np.ndarray:
    """Four on the floor with snare, hats and a bass, float32 (N,) in [-1, 1] at `RATE`; the first beat is at 0."""
    rng = np.random.default_rng(seed)
    track = np.zeros(round(seconds * RATE))
    beat = 60 / bpm

    def add(start: float, sound: np.ndarray, gain: float) -> None:
        first = round(start * RATE)
        if first < len(track):
            piece = sound[: len(track) - first]
            track[first : first + len(piece)] += gain * piece

    def clock(length: float) -> np.ndarray:
        return np.arange(round(length * RATE)) / RATE

    t = clock(0.30)
    kick = np.sin(2 * np.pi * (48 * t + 5.5 * (1 - np.exp(-t / 0.035)))) * np.exp(-t / 0.10)
    t = clock(0.18)
    snare = (
        0.75 * rng.normal(size=len(t)) * np.exp(-t / 0.055) + 0.6 * np.sin(2 * np.pi * 190 * t) * np.exp(-t / 0.04)
    ) * 0.6
    t = clock(0.07)
    hat = np.diff(rng.normal(size=len(t) + 1)) * np.exp(-t / 0.016) * 0.4

    def bass(frequency: float, length: float) -> np.ndarray:
        t = clock(length)
        wave = sum(np.sin(2 * np.pi * k * frequency * t) * np.exp(-t * k * 3.0) / k for k in range(1, 7))
        return wave * np.minimum(t / 0.005, 1) * np.minimum((length - t) / 0.02, 1)

    def chord(roots: tuple[float, ...], length: float) -> np.ndarray:
        t = clock(length)
        tone = sum(np.sin(2 * np.pi * f * t) + 0.4 * np.sin(4 * np.pi * f * t) for f in roots)
        return tone * np.exp(-t / 0.16) / len(roots)

    notes = (55.0, 55.0, 65.41, 49.0)  # A A C G, one a bar
    chords = ((220.0, 261.63, 329.63), (220.0, 261.63, 329.63), (261.63, 329.63, 392.0), (196.0, 246.94, 293.66))
    for i in range(int(np.ceil(seconds / beat))):
        start, bar = i * beat, (i // 4) % 4
        add(start, kick, 0.85)
        if i % 2 == 1:
            add(start, snare, 0.45)
        add(start, hat, 0.18)
        add(start + 0.5 * beat, hat, 0.34)
        if i >= 2:
            add(start, bass(notes[bar], 0.42 * beat), 0.36)
            add(start + 0.5 * beat, bass(notes[bar] * (2 if i % 4 == 3 else 1), 0.42 * beat), 0.30)
            add(start + 0.5 * beat, chord(chords[bar], 0.4), 0.16)
    fade = np.clip((seconds - np.arange(len(track)) / RATE) / 0.5, 0, 1)
    return (np.tanh(1.1 * track * fade) * 0.85).astype(np.float32)
