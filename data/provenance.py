"""What a made video says of itself: tags for programs, and a small mark for people."""

from __future__ import annotations

import importlib.metadata

import cv2
import numpy as np

PROGRAM = "everybody-dance-now"
# IPTC's word for what is partly made by a trained network, which platforms look for.
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
WORD = "synthetic"
_HEIGHT = 0.03  # of the mark's letters, in heights of the picture, at least 9 pixels: readable, and in nobody's way


def program_version() -> str:
    """As installed; "unknown" where it is not."""
    try:
        return importlib.metadata.version(PROGRAM)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def tags(sources: dict[str, str]) -> dict[str, str]:
    """Tags of an mp4 file that ffprobe and exiftool show.

    Args:
        sources: SHA-256 by what a file was, e.g. "dance". File names are left out: they may be people's names.
    """
    made_by = f"{PROGRAM} {program_version()}"
    origin = ", ".join(f"{what} sha256:{digest}" for what, digest in sources.items())
    return {
        "comment": f"Synthetic video, not a recording of what it shows. Made by {made_by} from {origin}.",
        "description": f"Synthetic: a person rendered by a neural network. DigitalSourceType: {SOURCE_TYPE}",
    }


def mark(picture: np.ndarray) -> np.ndarray:
    """A copy of a picture (H, W, 3) uint8 RGB with a small word in its lower right corner, white edged with black."""
    marked = np.ascontiguousarray(picture).copy()
    height, width = marked.shape[:2]
    pixels = max(9.0, _HEIGHT * height)
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, pixels / 22  # whose capitals are 22 pixels high
    (length, _), below = cv2.getTextSize(WORD, font, scale, 1)
    place = max(0, width - length - round(pixels / 2)), height - below - round(pixels / 4)
    for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(marked, WORD, place, font, scale, colour, thickness, cv2.LINE_AA)
    return marked
