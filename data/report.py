"""What step 1 saw: the summary that it ends with, and a video to look at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np

from data import skeleton
from data.annotations import Annotations
from pose_detector.cleaning import GAP, Report
from pose_detector.tracking import Track

_ADVICE = {
    "head": "film from the front, with light on the face",
    "shoulders": "keep the upper body in the picture",
    "elbows": "wear clothes that differ from the background, and use more light",
    "wrists": "use more light or a shorter exposure: fast hands blur",
    "hips": "keep the whole body in the picture",
    "knees": "keep the whole body in the picture, and nothing in front of the legs",
    "ankles": "film the whole body, feet included",
}
_SMALL = 24  # pixels of torso, below which a hand has too few to be drawn
_OFTEN = 0.05  # share of the frames from which on something is worth a word


def summary(annotations: Annotations, report: Report, unseen: np.ndarray | None, shift: float = 0.0) -> list[str]:
    """What a user should know of the result, line by line, advice last.

    Args:
        annotations: the result.
        report: of the cleaning.
        unseen: (H, W) where the plate is made up, or None without one.
        shift: of the camera, in pixels.
    """
    n = annotations.total_frames
    confident = annotations.keypoints[..., 2] > 0
    present = confident.any(axis=1)
    seen = (confident & ~annotations.filled)[present].mean(axis=0)
    people = "1 person" if report.people == 1 else f"{report.people} people"
    lines = [
        f"{n} frames, {people}; the dancer is in {present.sum()} of them ({present.mean():.0%})",
        "seen, right and left: " + ", ".join(f"{name} {share}" for name, share in _shares(seen).items()),
        f"keypoints filled in over time (gaps up to {GAP:g} s): {annotations.filled.sum()}, rejected as wrong:"
        f" {report.outliers.sum()}, sides exchanged: {report.swaps.sum()}, still missing: {report.missing.sum()}"
        f" of {18 * n}",
    ]
    if unseen is not None:
        lines.append(f"background: {1 - unseen.mean():.1%} of it seen, the rest filled in")
    return lines + [f"advice: {line}" for line in advice(annotations, report.people, seen, unseen, shift)]


def _shares(seen: np.ndarray) -> dict[str, str]:
    """Share of the frames that show a keypoint, in words: by name, right one first."""
    names = {name.removeprefix("right ") + "s": name for name in skeleton.NAMES if name.startswith("right ")}
    share = dict(zip(skeleton.NAMES, seen, strict=True))
    single = {name: f"{share[name]:.0%}" for name in ("nose", "neck")}
    return single | {
        plural: f"{share[right]:.0%} {share[right.replace('right', 'left')]:.0%}" for plural, right in names.items()
    }


def advice(
    annotations: Annotations, people: int, seen: np.ndarray, unseen: np.ndarray | None = None, shift: float = 0.0
) -> list[str]:
    """What to do better, a line each; nothing where all is well.

    Args:
        annotations: of the dancer.
        people: how many there are in the video.
        seen: (18,) share of the dancer's frames in which each keypoint is seen.
        unseen, shift: as for `summary`.
    """
    keypoints, (width, height) = annotations.keypoints, annotations.frame_size
    confident = keypoints[..., 2] > 0
    present = confident.any(axis=1)
    poses, shown = keypoints[present], confident[present]
    size = np.nan_to_num(skeleton.body_size(poses))
    lines = []
    if not present.all():
        begin, end = _longest(~present)
        times = annotations.times[[begin, end]]
        if end - begin + 1 > GAP * annotations.fps:
            lines.append(
                f"the dancer is not seen in {(~present).sum()} frames, longest from {times[0]:.1f} to {times[1]:.1f} s;"
                " cut the video to where they are"
            )
    x = np.where(shown, poses[..., 0], width / 2)
    if np.mean((x < 0.01 * width).any(axis=1) | (x > 0.99 * width).any(axis=1)) > _OFTEN:
        lines.append("the dancer leaves the picture at the side; film from further away, with room for the arms")
    # A foot that would be below the picture, as far as the lowest that is seen of its leg tells.
    cut = np.zeros(len(poses), bool)
    for hip, knee, ankle in ((8, 9, 10), (11, 12, 13)):
        for above, length in ((knee, 0.8), (hip, 1.6)):  # torso lengths
            unseen_below = shown[:, above] & ~shown[:, ankle]
            cut |= unseen_below & (poses[:, above, 1] + length * size > height)
    if len(cut) and cut.mean() > _OFTEN:
        lines.append(f"the feet are cut off in {cut.sum()} frames; film the whole body, feet included")
    if len(size) and 0 < np.median(size) < _SMALL:
        lines.append(
            f"the dancer is small (a torso of {np.median(size):.0f} pixels); film nearer, or raise --frame_area"
            f" (now {width * height})"
        )
    for name, joints in skeleton.GROUPS.items():
        if seen[list(joints)].mean() < 0.7:
            lines.append(f"{name} seldom seen; {_ADVICE[name]}")
    if people > 1:
        lines.append("if this is not the dancer you mean, name another with --person 0, 1, ... (--preview shows who)")
    if shift > 0.005 * width:
        lines.append(f"the camera moves (by {shift:.0f} pixels and more); put it on a stand, or the room smears")
    if unseen is not None and unseen.mean() > 0.1:
        lines.append("part of the room is never seen; a second of the empty room in the video would show it")
    return lines


def _longest(flags: np.ndarray) -> tuple[int, int]:
    """First and last index of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    runs = edges.reshape(-1, 2)
    begin, end = runs[np.argmax(runs[:, 1] - runs[:, 0])]
    return int(begin), int(end) - 1


def preview(
    frames: Iterable[np.ndarray], annotations: Annotations, tracks: Sequence[Track], chosen: int
) -> Iterator[np.ndarray]:
    """The frames with everybody's skeleton, number (as for `--person`) and confidence on them.

    Of the chosen one it is what goes to the next step: a dot is the darker the less sure its keypoint, and red where it
    was filled in over time. The others are faint.

    Args:
        frames: (H, W, 3) uint8 RGB, all N of the video, working size.
        annotations: of the chosen person.
        tracks: everybody.
        chosen: number of the chosen one.
    """
    for i, frame in enumerate(frames):
        canvas = frame.copy()
        for number, track in enumerate(tracks):
            if number != chosen and track.present[i]:
                canvas = cv2.addWeighted(canvas, 0.5, skeleton.draw(canvas, track.keypoints[i], 0.05), 0.5, 0)
                _label(canvas, track.keypoints[i], str(number))
        pose = annotations.keypoints[i]
        if (pose[:, 2] > 0).any():
            canvas = skeleton.draw(canvas, pose, 0.05)
            for point, confidence, filled in zip(pose[:, :2], pose[:, 2], annotations.filled[i], strict=True):
                if confidence > 0:
                    grey = int(255 * min(confidence, 1))
                    centre = skeleton.to_fixed(point[None], canvas.shape)[0]
                    cv2.circle(canvas, centre, 3 << 4, (255, 0, 0) if filled else (grey,) * 3, -1, cv2.LINE_AA, 4)
            _label(canvas, pose, f"person {chosen}")
        _write(canvas, f"{i}  {annotations.times[i]:.2f} s", (4, canvas.shape[0] - 6))
        yield canvas


def _label(canvas: np.ndarray, pose: np.ndarray, name: str) -> None:
    """Writes a person's name and mean confidence above their head."""
    seen = pose[pose[:, 2] > 0]
    left, top = seen[:, 0].mean() - 30, seen[:, 1].min() - 12
    x, y = np.clip([left, top], (2, 12), (max(2, canvas.shape[1] - 90), canvas.shape[0] - 20))
    _write(canvas, f"{name}  {seen[:, 2].mean():.2f}", (int(x), int(y)))


def _write(canvas: np.ndarray, text: str, place: tuple[int, int]) -> None:
    """White on black, legible on any ground."""
    for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, thickness, cv2.LINE_AA)
