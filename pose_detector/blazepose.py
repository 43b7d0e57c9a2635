"""BlazePose (arXiv 2006.10204): MediaPipe's network for one person, run by LiteRT."""

from pathlib import Path

import numpy as np
from scipy.special import expit

from pose_detector.crop import Crop, body_circle
from pose_detector.errors import InputError
from pose_detector.look import Look
from pose_detector.model_files import load_blazepose

SIZE = 256  # side of its input, pixels
# For each keypoint of COCO-18 its landmark; the neck, which it does not know, lies between the shoulders.
COCO18 = np.array([0, 0, 12, 14, 16, 11, 13, 15, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7])
# Little finger, index and thumb of the right hand, then of the left; heel and toe of the right foot, then of the left.
EXTRA = np.array([18, 20, 22, 17, 19, 21, 30, 32, 29, 31])
HIPS, REACH = 33, 34  # landmarks that give the next crop: its centre, and a point on the circle around the body
GUESSED = 0.05  # below this a point is not hidden but nowhere; a hidden elbow is guessed well
NOSE, EYES, EARS = 0, (5, 2), (8, 7)


class BlazePose:
    """Looks at one person at a time; see `look.Looker`."""

    first_look_trust = 0.0

    def __init__(self, model: Path, threads: int = 1) -> None:
        """The network of a file.

        Args:
            model: A .tflite file.
            threads: CPU threads that it runs on.

        Raises:
            InputError: The file cannot be used, or LiteRT is not installed.
        """
        self._model, self._network = model, load_blazepose(model, threads)
        self._input = self._network.get_input_details()[0]["index"]
        self._outputs = {detail["name"]: detail["index"] for detail in self._network.get_output_details()}

    def run(self, picture: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
        """The network's answer to a crop (256, 256, 3) uint8 RGB.

        Returns:
            landmarks (39, 4): x, y and depth in pixels of the crop, and the probability that each is visible, in
            [0, 1]; the probability that a person is there, in [0, 1]; outline (256, 256) float32, 1 = the person.
        """
        self._network.set_tensor(self._input, picture[None].astype(np.float32) / 255)
        self._network.invoke()
        points = self._network.get_tensor(self._outputs["Identity"])[0].reshape(39, 5)
        present = float(self._network.get_tensor(self._outputs["Identity_1"])[0, 0])
        outline = self._network.get_tensor(self._outputs["Identity_2"]).reshape(SIZE, SIZE)
        if not (np.isfinite(points).all() and np.isfinite(present) and np.isfinite(outline).all()):
            raise InputError(f"{self._model} gives values that are infinite or NaN; fetch it again")
        landmarks = np.column_stack([points[:, :3], expit(points[:, 3])])
        return landmarks, present, expit(outline)

    def first_crop(self, keypoints: np.ndarray) -> Crop | None:
        """See `look.Looker`."""
        return body_circle(keypoints, 1.25)

    def look(self, frame: np.ndarray, crop: Crop) -> Look:
        """See `look.Looker`."""
        landmarks, present, outline = self.run(crop.cut(frame, SIZE))
        points = np.column_stack([crop.to_frame(landmarks[:, :2], SIZE), landmarks[:, 3]])
        points[points[:, 2] < GUESSED, 2] = 0
        keypoints = to_coco18(points)
        keypoints[face_away(landmarks), 2] = 0
        extra, following = points[EXTRA].astype(np.float32), following_crop(points)
        return Look(keypoints.astype(np.float32), extra, outline, present, crop, following)


def following_crop(landmarks: np.ndarray) -> Crop:
    """Where to look in the next frame, from landmarks (39, >=2) in pixels of this one."""
    dx, dy = landmarks[REACH, :2] - landmarks[HIPS, :2]
    return Crop(*landmarks[HIPS, :2].tolist(), 2.5 * float(np.hypot(dx, dy)), float(np.arctan2(dx, -dy)))


def to_coco18(landmarks: np.ndarray) -> np.ndarray:
    """Keypoints (18, 3) of landmarks (39, 3)."""
    keypoints = landmarks[COCO18].copy()
    keypoints[1, :2] = keypoints[[2, 5], :2].mean(axis=0)
    keypoints[1, 2] = keypoints[[2, 5], 2].min()
    return keypoints


def face_away(landmarks: np.ndarray) -> list[int]:
    """Face points of COCO-18 that the head itself hides: the network places them all the same.

    Nose and eyes are hidden where they lie behind the axis through the ears, an ear where that axis points away from
    the camera by more than 45 degrees and it is the farther one.

    Args:
        landmarks: (39, 4) x, y, depth (larger is farther) and visibility, in pixels.
    """
    right, left = landmarks[list(EARS), :3]
    axis = right - left
    behind = (right[2] + left[2]) / 2
    hidden = [joint for joint, mark in ((0, NOSE), (14, EYES[0]), (15, EYES[1])) if landmarks[mark, 2] > behind]
    if abs(axis[2]) > np.hypot(axis[0], axis[1]):
        hidden.append(16 if axis[2] > 0 else 17)
    return hidden
