"""Does the dance fit the target? What step 2 shows of it: a summary with advice, a plot and a video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import repeat

import cv2
import numpy as np

from data import pose_range
from data.annotations import Annotations
from data.retarget import Retargeting
from pose_detector import skeleton

_LOW, _OFTEN = 0.02, 0.1  # shares of the frames from which on something is worth a word, and is worth another take


def summary(normal: Annotations, report: Retargeting, strange: np.ndarray, target: Annotations) -> list[str]:
    """What a user should know of the result, line by line, advice last.

    Args:
        normal: the normalised dance.
        report: of the normalisation.
        strange: (N, parts) from `pose_range.strangeness`.
        target: of the training video.
    """
    low, high = np.percentile(report.scale, (1, 99))
    factor = f"{np.median(report.scale):.2f}" + (f" ({low:.2f} to {high:.2f})" if high - low > 0.005 else "")
    lines = [f"{normal.source} onto the person in {target.source}: {normal.total_frames} frames, size x {factor}"]
    advice = []
    if report.unchanged:
        lines.append("the dance shows the same person in the same place: its poses stay as they are")
    if report.anchor != "ankles":
        advice.append(f"the feet are not seen in both videos, so the {report.anchor} stand for them; film them too")
    if report.travel_gain < 0.995:
        lines.append(
            f"steps to the side are shortened to {report.travel_gain:.0%}, so that the body stays in the picture"
        )
    for side, frames in outside(normal).items():
        if frames.mean() > _LOW:
            where = f"on the {side}" if side in ("left", "right") else f"at the {side}"
            advice.append(f"the dancer leaves the target's room {where} in {frames.mean():.0%} of the frames")
    if any("leaves" in line for line in advice) or report.travel_gain < 0.7:
        advice.append("film the target from further away, or choose a dance that needs less room")
    distance = np.maximum(np.maximum(report.floor_range[0] - report.floor, report.floor - report.floor_range[1]), 0)
    tall = np.nanmedian(skeleton.body_size(target.keypoints))
    away = (distance > 0.5 * tall).mean()
    if away > _OFTEN:
        advice.append(
            f"in {away:.0%} of the frames the dancer stands where the target never stood; walk there in training"
        )
    parts = np.nan_to_num(strange) > pose_range.FAR
    share = parts.any(1).mean()
    lines.append(f"poses unlike all of the training: {share:.0%} of the frames" + worst_moments(strange, normal.times))
    if share > _OFTEN:
        often = [
            f"{name} {part.mean():.0%}" for name, part in zip(pose_range.PARTS, parts.T, strict=True) if part.any()
        ]
        advice.append(f"train with more such poses ({', '.join(often)}), or set --stay_in_range")
    if high > 2.5:
        advice.append("the dancer is small in the picture and is enlarged; a closer dance video is steadier")
    return lines + [f"advice: {line}" for line in advice]


def worst_moments(strange: np.ndarray, times: np.ndarray, most: int = 3) -> str:
    """The strangest moments, at least a second apart, in words; empty where none is strange."""
    worst = np.nan_to_num(strange).max(1)
    found: list[float] = []
    for i in np.argsort(-worst, kind="stable"):
        if worst[i] <= pose_range.FAR or len(found) == most:
            break
        if all(abs(times[i] - other) >= 1 for other in found):
            found.append(float(times[i]))
    return f"; worst at {', '.join(f'{time:.1f} s' for time in sorted(found))}" if found else ""


def outside(normal: Annotations) -> dict[str, np.ndarray]:
    """By side of the picture, the frames (N,) bool in which a keypoint lies beyond it."""
    (width, height), seen = normal.frame_size, normal.keypoints[..., 2] > 0
    x, y = normal.keypoints[..., 0], normal.keypoints[..., 1]
    beyond = {"left": x < 0, "right": x > width - 1, "top": y < 0, "bottom": y > height - 1}
    return {side: (seen & where).any(1) for side, where in beyond.items()}


def plot(normal: Annotations, report: Retargeting, strange: np.ndarray) -> np.ndarray:
    """Scale, feet line, travel and strangeness over time, (H, W, 3) uint8 RGB.

    Grey is where the target was in training (for strangeness: what is usual), black lines are the picture's edges; red
    marks below each curve are frames in which a keypoint lies outside the picture, or a pose is too strange.
    """
    width, height = normal.frame_size
    out = outside(normal)
    worst = np.nan_to_num(strange).max(1)
    rows = (
        ("size of the dancer, times", report.scale, None, None, np.zeros(len(worst), bool)),
        ("feet, pixels from above", report.floor, report.floor_range, (height, 0), out["top"] | out["bottom"]),
        ("sideways, pixels", report.centre, report.centre_range, (0, width), out["left"] | out["right"]),
        ("pose, torso lengths from training", worst, (0, pose_range.FAR), None, worst > pose_range.FAR),
    )
    return np.vstack([_curve(normal.times, *row) for row in rows])


def _curve(
    times: np.ndarray,
    title: str,
    values: np.ndarray,
    usual: tuple[float, float] | None,
    edges: tuple[float, float] | None,
    marked: np.ndarray,
    size: tuple[int, int] = (960, 180),
) -> np.ndarray:
    """One curve over seconds as a picture; see `plot`."""
    (width, height), left, top = size, 60, 24
    canvas = np.full((height, width, 3), 255, np.uint8)
    low, high = (
        np.min([values.min(), *(usual or ()), *(edges or ())]),
        np.max([values.max(), *(usual or ()), *(edges or ())]),
    )
    low, high = (
        (low, high) if high - low > 0.1 * abs(high) else (low - 0.05 * abs(high), high + 0.05 * abs(high) + 1e-6)
    )
    if edges is not None and edges[0] > edges[1]:  # upside down, as in the picture
        low, high = high, low
    span = max(times[-1] - times[0], 1e-6)

    def at(time: np.ndarray, value: np.ndarray | float) -> np.ndarray:
        x = left + (time - times[0]) / span * (width - left - 10)
        y = height - 22 - (np.broadcast_to(value, np.shape(time)) - low) / (high - low) * (height - top - 30)
        return np.rint(np.stack([x, y], -1)).astype(np.int32)

    ends = times[[0, -1]]
    if usual is not None:
        cv2.rectangle(canvas, at(ends, usual[1])[0].tolist(), at(ends, usual[0])[1].tolist(), (225, 225, 225), -1)
    for edge in edges or ():
        cv2.polylines(canvas, [at(ends, edge)], False, (0, 0, 0), 1)
    cv2.polylines(canvas, [at(times, values)], False, (0, 90, 200), 2, cv2.LINE_AA)
    for x, _ in at(times[marked], low):
        cv2.line(canvas, (int(x), height - 20), (int(x), height - 14), (220, 0, 0), 1)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(canvas, title, (left, 16), font, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    for value, y in ((high, top + 8), (low, height - 24)):
        cv2.putText(canvas, f"{value:.4g}", (6, y), font, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    for time, x in ((ends[0], left), (ends[1], width - 60)):
        cv2.putText(canvas, f"{time:.1f} s", (x, height - 2), font, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return canvas


def preview(
    dance: Annotations,
    normal: Annotations,
    plate: np.ndarray,
    frames: Iterable[np.ndarray] | None,
    chosen: Iterable[int],
) -> Iterator[np.ndarray]:
    """The dance with its skeleton beside the target's background with the normalised one, (H, W, 3) uint8 RGB.

    Args:
        dance: as step 1 left it.
        normal: the same, normalised.
        plate: (H, W, 3) uint8 RGB, the target's background at working size.
        frames: (h, w, 3) of the dance at working size, those that are chosen; None: a black ground.
        chosen: numbers of the frames to show.
    """
    height = plate.shape[0]
    width, own = dance.frame_size
    black = np.zeros((own, width, 3), np.uint8)
    for i, frame in zip(chosen, frames if frames is not None else repeat(black), strict=False):
        left = skeleton.draw(frame, dance.keypoints[i])
        left = cv2.resize(left, (max(2, round(width * height / own)), height), interpolation=cv2.INTER_AREA)
        yield np.hstack([left, skeleton.draw(plate, normal.keypoints[i])])
