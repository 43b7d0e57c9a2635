"""Pictures of rooms, and what cameras do to them."""

import cv2
import numpy as np

FPS = 25.0


def room(seed, width=256, height=144):
    """A picture (H, W, 3) with as much in it as a room has."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 220, (6, 10), np.uint8)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    for x, y, w, h in rng.integers(4, (width - 40, height - 40, 40, 40), (12, 4)):
        cv2.rectangle(picture, (int(x), int(y)), (int(x + w), int(y + h)), int(rng.integers(20, 240)), -1)
    return np.repeat(picture[..., None], 3, axis=2)


def noisy(frames, seed=0):
    rng = np.random.default_rng(seed)
    return [np.clip(frame + rng.normal(0, 4, frame.shape), 0, 255).astype(np.uint8) for frame in frames]


def moved(frame, x, y):
    return cv2.warpAffine(frame, np.float32([[1, 0, x], [0, 1, y]]), frame.shape[1::-1], borderMode=cv2.BORDER_REFLECT)
