"""Calls the grouping with maps and settings as bad as can be: python fuzz_grouping.py EXTENSION SECONDS [SEED]

EXTENSION is a build of pafprocess.cpp, with a sanitizer as a rule; `test_pafprocess.py` makes one.
"""

import importlib.util
import sys
import time

import numpy as np
from places import ROOT

NAME = "pose_detector.pafprocess._pafprocess"
EXTREMES = np.array([np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e-45, -0.0, 0.1, 1.0], np.float32)


def maps(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Heat maps (18 or more, h, w) and fields (38 or more, h, w) of any size and content, often not contiguous."""
    height, width = rng.choice([0, 1, 2, 3, 7, 46], 2) if rng.random() < 0.5 else rng.integers(0, 25, 2)
    result = []
    for channels in (18, 38):
        shape = (channels + int(rng.integers(0, 3)), int(height), int(width))
        kind = rng.integers(0, 6)
        if kind == 0:
            values = rng.standard_normal(shape) * 10.0 ** rng.uniform(-3, 38)
        elif kind == 1:
            values = np.full(shape, rng.choice(EXTREMES))
        elif kind == 2:
            values = rng.integers(0, 3, shape) / 2  # plateaus
        elif kind == 3:
            values = rng.random(shape)
        else:  # what a network gives, more or less
            values = rng.standard_normal(shape) * 0.02 + (rng.random(shape) < 0.02) * rng.uniform(0, 1.5)
        values = values.astype(np.float32)
        bad = rng.random(shape) < rng.choice([0, 0, 0.01, 0.3])
        values[bad] = rng.choice(EXTREMES, np.count_nonzero(bad))
        if rng.random() < 0.3:
            values = np.ascontiguousarray(values.transpose(1, 2, 0)).transpose(2, 0, 1)
        result.append(values)
    return result[0], result[1]


def settings(rng: np.random.Generator) -> dict[str, float]:
    if rng.random() < 0.5:
        return {}
    return {
        "stride": float(rng.choice([8, 0, -1, np.nan, 1e38])),
        "threshold": float(rng.choice([0.1, 0, -1, -np.inf, np.nan])),
        "paf_threshold": float(rng.choice([0.05, 0, -1, -np.inf, np.nan])),
        "agreement": float(rng.choice([0.8, 0, 1])),
        "min_parts": int(rng.choice([4, 0, -5, 100])),
        "min_score": float(rng.choice([0.2, -10, np.nan, np.inf])),
        "max_peaks": int(rng.choice([500, 0, 1, 7])),
    }


def main(extension: str, seconds: float, seed: int = 0) -> int:
    """Returns how many calls were made."""
    spec = importlib.util.spec_from_file_location(NAME, extension)
    sys.modules[NAME] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[NAME])
    sys.path.insert(0, str(ROOT))
    from pose_detector.pafprocess import group

    rng = np.random.default_rng(seed)
    end, calls = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        heatmaps, pafs = maps(rng)
        options = settings(rng)
        keypoints, scores = group(heatmaps, pafs, **options)
        people = len(keypoints)
        assert keypoints.shape == (people, 18, 2) and scores.shape == (people, 18)
        assert (keypoints[scores == 0] == 0).all() or options.get("threshold", 1) <= 0
        if not options:
            seen = scores > 0
            size = np.array(heatmaps.shape[:0:-1]) * 8
            assert np.isfinite(scores).all() and (seen.sum(axis=1) >= 4).all()
            assert (keypoints >= 0).all() and (keypoints[seen] <= size - 1).all()
        calls += 1
        try:  # wrong shapes raise, and nothing else
            group(heatmaps[: rng.integers(0, 20)], pafs[: rng.integers(0, 40), : rng.integers(0, 60)])
        except ValueError:
            pass
    return calls


if __name__ == "__main__":
    print(main(sys.argv[1], float(sys.argv[2]), *map(int, sys.argv[3:])), "calls")
