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
    """Scale, feet line, travel and strangeness over seconds, (720, 960, 3) uint8 RGB.

    Grey is where the target was in training (for strangeness: what is usual), black lines are the picture's edges; red
    marks below each curve are frames in which a keypoint lies outside the picture, or a pose is too strange.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # takes half a second
    from matplotlib.figure import Figure

    width, height = normal.frame_size
    out = outside(normal)
    worst = np.nan_to_num(strange).max(1)
    rows = (
        ("size of the dancer, times", report.scale, None, None, np.zeros(len(worst), bool)),
        ("feet, pixels from above", report.floor, report.floor_range, (height, 0), out["top"] | out["bottom"]),
        ("sideways, pixels", report.centre, report.centre_range, (0, width), out["left"] | out["right"]),
        ("pose, torso lengths from training", worst, (0, pose_range.FAR), None, worst > pose_range.FAR),
    )
    figure = Figure(figsize=(9.6, 7.2), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    for axes, (title, values, usual, edges, marked) in zip(figure.subplots(len(rows), sharex=True), rows, strict=True):
        if usual is not None:
            axes.axhspan(*usual, color="0.88")
        for edge in edges or ():
            axes.axhline(edge, color="black", linewidth=1)
        axes.plot(normal.times, values, color="#005ac8")
        axes.plot(
            normal.times[marked], np.zeros(marked.sum()), "|", color="#dc0000", transform=axes.get_xaxis_transform()
        )
        axes.set_title(title, fontsize=10, loc="left")
        low, high = axes.get_ylim()
        if edges is None and high - low < 0.1 * high:  # hardly changes: shown so
            axes.set_ylim(0.95 * low, 1.05 * high)
        if edges is not None and edges[0] > edges[1]:  # upside down, as in the picture
            axes.invert_yaxis()
    axes.set_xlabel("seconds")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


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
