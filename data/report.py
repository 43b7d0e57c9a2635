"""Step 1's report: what is good and bad about a clip, in a few lines, and a video to look at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

import cv2
import numpy as np
from scipy import ndimage

from data.annotations import Annotations
from data.camera import Path
from data.frame_stats import CELLS, SIDES, FrameStats
from pose_detector import skeleton
from pose_detector.look import EXTRA_NAMES
from pose_detector.series import interpolate, runs
from pose_detector.tracking import Track

OFTEN = 0.05  # share of the frames from which on something is worth a word
# Share of the frames from which on a joint counts as shown by a video, as in `data.retarget.floor`.
SHOWN = 0.2
_SELDOM = 0.3  # share of the frames in which a joint is not seen, from which on that is worth a word
_SMALL = 80  # pixels of body, about 24 of torso, below which a hand has too few to be drawn
_DARK = 50  # luma of 255 below which noise is as strong as what there is to see
_CALM = 0.5  # seconds: spans with shorter gaps are reported as one

_EXTRA = {name: 18 + i for i, name in enumerate(EXTRA_NAMES)}
# For each keypoint, then each of `EXTRA_NAMES`, what is cut off where an outline ends near it at the picture's edge.
_LIMBS = {
    "head": skeleton.HEAD,
    "hands": (3, 4, 6, 7, *(i for name, i in _EXTRA.items() if "finger" in name or "thumb" in name)),
    "feet": (9, 10, 12, 13, *(i for name, i in _EXTRA.items() if "heel" in name or "toe" in name)),
}
# By side of the picture, where the nearest keypoint is one of the trunk.
_BEYOND = {"left": "hands", "top": "head", "right": "hands", "bottom": "feet"}
_STEP_BACK = {
    "feet": "step back until the floor in front of the feet is in the picture",
    "hands": "step back, so that there is room for stretched arms on every side",
    "head": "step back, or tilt the camera up",
}
# Joints, the part that is reported where they are cut off, and what to do where they are seldom seen.
_HIDDEN = {
    "face": ((skeleton.NOSE,), "head", "turn to the camera more often, with light on the face"),
    "elbows": (skeleton.GROUPS["elbows"], "hands", "turn to the camera more often, in clothes unlike the background"),
    "wrists": (skeleton.GROUPS["wrists"], "hands", "use more light or a shorter exposure, as fast hands blur"),
    "knees": (skeleton.GROUPS["knees"], "feet", "put nothing in front of the legs, and stand more than you sit"),
    "ankles": (skeleton.GROUPS["ankles"], "feet", "put nothing in front of the feet, and stand more than you sit"),
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a clip.

    Attributes:
        text: what, how much of it, and when.
        advice: what to do.
        share: of the frames (or of the picture) that it spoils: the largest comes first.
        urgent: comes before all others.
    """

    text: str
    advice: str
    share: float
    urgent: bool = False


def summary(
    annotations: Annotations,
    stats: FrameStats,
    others: np.ndarray | None = None,
    path: Path | None = None,
    unseen: np.ndarray | None = None,
    left_out: dict[str, np.ndarray] | None = None,
) -> list[str]:
    """What a user should know of a clip: a line with the share of good frames, then a line for each thing that is
    wrong, the most important first.

    Args:
        annotations: the result of step 1.
        stats: of every frame. Without outlines in it, what is cut off is judged by keypoints alone.
        others: (N,) how many people beside the dancer there are in each frame; None: nobody.
        path: of the camera; None: it stands.
        unseen: (H, W) bool, where the background is made up; None without one.
        left_out: by reason, the frames (N,) bool of a training video that do not show the room; None: a dance.
    """
    n, usable = annotations.total_frames, annotations.usable
    others = np.zeros(n, int) if others is None else others
    present = is_present(annotations)
    cut = cut_off(annotations, stats)
    whole = present & ~np.any(list(cut.values()), axis=0)
    people = 1 + _others(others)
    first = f"{annotations.source}: {n} frames, {'1 person' if people == 1 else f'{people} people'}"
    if len(annotations.shots) > 1:
        first += f", {len(annotations.shots)} shots"
    if not present[usable].all():
        first += f", the dancer in {_percent(present[usable].mean())} of the frames"
    first += f", the whole body clear of the edges in {_percent(whole[usable].mean())}"
    found = [
        *_left_out(annotations, left_out or {}),
        *_cuts(annotations, left_out is None),
        *_absence(annotations, present),
        *_cut_off(annotations, present, cut),
        *_light_and_size(annotations, stats, present),
        *_camera(path, usable),
        *_hidden(annotations, present, cut),
        *_company(annotations, others),
    ]
    if unseen is not None and unseen.mean() > 0.1:
        advice = "film a second of the empty room, or step aside"
        found.append(Finding(f"{_percent(unseen.mean())} of the background never seen", advice, unseen.mean()))
    found.sort(key=lambda finding: (not finding.urgent, -finding.share))
    return [first, *(f"- {finding.text}: {finding.advice}" for finding in found)]


def is_present(annotations: Annotations) -> np.ndarray:
    """(N,) bool, the frames in which the dancer is seen."""
    return (annotations.keypoints[..., 2] > 0).any(axis=1)


def hips_seen(annotations: Annotations) -> float:
    """Share of the frames with the dancer in which a hip is seen, not filled in; 0 where nobody is seen."""
    hips = [skeleton.RIGHT_HIP, skeleton.LEFT_HIP]
    seen = (annotations.keypoints[:, hips, 2] > 0) & ~annotations.filled[:, hips]
    present = is_present(annotations)
    return float(seen.any(axis=1)[present].mean()) if present.any() else 0.0


def cut_off(annotations: Annotations, stats: FrameStats) -> dict[str, np.ndarray]:
    """For head, hands and feet the frames (N,) bool in which the picture's edge cuts them off.

    Where the outline touches the edge, the nearest keypoint says which part goes on beyond it.
    """
    n = annotations.total_frames
    cut = {name: np.zeros(n, bool) for name in _LIMBS}
    if len(stats.contacts) != n:
        return cut | _missing_below(annotations)
    points = np.concatenate([annotations.keypoints, annotations.extra], axis=1)
    part = np.full(points.shape[1], "", object)
    for name, joints in _LIMBS.items():
        part[list(joints)] = name
    width, height = annotations.frame_size
    along = (np.arange(CELLS) + 0.5) / CELLS
    x, y = along * width, along * height
    for i, touched in enumerate(stats.contacts):
        if not touched.any():
            continue
        seen = np.flatnonzero(points[i, :, 2] > 0)
        for side, cells in zip(SIDES, touched, strict=True):
            for begin, end in runs(cells):
                middle = (begin + end) // 2
                place = {
                    "left": (0, y[middle]), "right": (width, y[middle]),
                    "top": (x[middle], 0), "bottom": (x[middle], height),
                }[side]  # fmt: skip
                nearest = ""
                # Where the picture ends above the hips, hands may be nearer than what is cut off.
                if len(seen) and (side != "bottom" or points[i, skeleton.RIGHT_HIP : skeleton.LEFT_ANKLE + 1, 2].any()):
                    nearest = part[seen[np.linalg.norm(points[i, seen, :2] - place, axis=1).argmin()]]
                cut[nearest or _BEYOND[side]][i] = True
    return cut


def _missing_below(annotations: Annotations) -> dict[str, np.ndarray]:
    """Frames in which a foot would be below the picture, judged by the lowest joint seen of its leg."""
    keypoints, height = annotations.keypoints, annotations.frame_size[1]
    shown, size = keypoints[..., 2] > 0, np.nan_to_num(skeleton.body_size(keypoints))
    cut = np.zeros(len(keypoints), bool)
    for hip, knee, ankle in ((8, 9, 10), (11, 12, 13)):
        for above, length in ((knee, 0.8), (hip, 1.6)):  # torso lengths
            cut |= shown[:, above] & ~shown[:, ankle] & (keypoints[:, above, 1] + length * size > height)
    return {"feet": cut}


def _left_out(annotations: Annotations, reasons: dict[str, np.ndarray]) -> Iterator[Finding]:
    told = [
        f"{frames.sum()} {reason}{_when(annotations, frames)}" for reason, frames in reasons.items() if frames.any()
    ]
    if told:
        flags = np.any(list(reasons.values()), axis=0)
        advice = "if that is more than it should be, cut the video to one shot of one room"
        name = "1 frame" if flags.sum() == 1 else f"{flags.sum()} frames"
        yield Finding(f"{name} left out: {', '.join(told)}", advice, float(flags.mean()), urgent=True)


def _cuts(annotations: Annotations, dance: bool) -> Iterator[Finding]:
    starts = annotations.shots[1:]
    if len(starts) and dance:
        moments = ", ".join(f"{annotations.times[i]:.1f}" for i in starts[:3]) + (", ..." if len(starts) > 3 else "")
        name = "1 cut" if len(starts) == 1 else f"{len(starts)} cuts"
        advice = "each shot is fitted to the room by itself, so the dancer jumps there; best is one shot"
        yield Finding(f"{name} (at {moments} s)", advice, len(starts) / annotations.total_frames)


def _absence(annotations: Annotations, present: np.ndarray) -> Iterator[Finding]:
    away = ~present & annotations.usable
    share = float(away.sum() / annotations.usable.sum())
    if share > OFTEN:
        text = f"the dancer not seen in {_percent(share)} of the frames{_when(annotations, away)}"
        yield Finding(text, "cut the video to where they are", share)


def _cut_off(annotations: Annotations, present: np.ndarray, cut: dict[str, np.ndarray]) -> Iterator[Finding]:
    hips = hips_seen(annotations)
    if hips < SHOWN:
        text = f"the hips seen in only {_percent(hips)} of the frames, so step 2 refuses this video"
        yield Finding(text, "film the whole body, from head to feet", 1 - hips, urgent=True)
    for name, frames in cut.items():
        share = float(frames[present].mean()) if present.any() else 0.0
        if share > OFTEN and not (name == "feet" and hips < SHOWN):
            text = f"{name} cut off or at the edge in {_percent(share)} of the frames{_when(annotations, frames)}"
            yield Finding(text, _STEP_BACK[name], share)


def _light_and_size(annotations: Annotations, stats: FrameStats, present: np.ndarray) -> Iterator[Finding]:
    brightness = np.asarray(stats.brightness)
    outlined = len(stats.size) == annotations.total_frames
    light, size = np.asarray(stats.light), np.asarray(stats.size)
    if not outlined:
        light, size = brightness, 3.3 * np.nan_to_num(skeleton.body_size(annotations.keypoints))
    if len(light) == annotations.total_frames:
        # A person in black is not in the dark, nor is a person in front of a black wall.
        dark = present & (light > 0) & (light < _DARK) if outlined else annotations.usable & (brightness < _DARK)
        if dark.mean() > OFTEN:
            where = "the picture" if np.median(brightness[dark]) < _DARK else "the dancer, against a bright background,"
            text = f"{where} too dark in {_percent(dark.mean())} of the frames{_when(annotations, dark)}"
            yield Finding(text, "use more light, from the front", float(dark.mean()))
    known = size > 0
    if known.any():
        # A crouching person is as tall as a standing one.
        tall = interpolate(size, known)
        tall = ndimage.percentile_filter(tall, 75, 2 * round(2 * annotations.fps) + 1, mode="nearest")
        small = known & (tall < _SMALL)
        if small.mean() > OFTEN:
            text = f"the dancer too small in {_percent(small.mean())} of the frames{_when(annotations, small)},"
            text += f" {np.median(tall[small]):.0f} pixels tall of {annotations.frame_size[1]}"
            advice = "film nearer (a dance and a draft have more pixels with a larger --frame_area)"
            yield Finding(text, advice, float(small.mean()))


def _camera(path: Path | None, usable: np.ndarray) -> Iterator[Finding]:
    if path is None or (path.still and path.known):
        return
    if not path.known:
        text = "the room shows too little to tell whether the camera moves"
        yield Finding(text, "if it does, put it on a stand, or film where there is more to see", 0.0)
        return
    text = f"the camera moves by up to {_percent(path.moved)} of the picture"
    share = float(1 - path.good[usable].mean())
    if share < OFTEN:
        yield Finding(text, "that has been taken out", 0.0)
        return
    text += f", and in {_percent(share)} of the frames it cannot be followed: {_percent(1 - share)} are used"
    yield Finding(text, "film from one place, turning the camera only, and not around the person", share)


def _hidden(annotations: Annotations, present: np.ndarray, cut: dict[str, np.ndarray]) -> Iterator[Finding]:
    seen = (annotations.keypoints[..., 2] > 0) & ~annotations.filled
    shares = {}
    upper = hips_seen(annotations) < SHOWN
    for name, (joints, part, _) in _HIDDEN.items():
        if upper and part == "feet":
            continue
        frames = present & ~cut[part]  # what is cut off is reported already
        if frames.mean() > OFTEN:
            shares[name] = 1 - float(seen[frames][:, list(joints)].mean())
    seldom = sorted((name for name, share in shares.items() if share > _SELDOM), key=lambda name: -shares[name])
    if seldom:
        text = ", ".join(f"{name} in {_percent(shares[name])}" for name in seldom)
        yield Finding(
            f"hidden or blurred: {text} of the frames", _HIDDEN[seldom[0]][2], 0.5 * present.mean() * shares[seldom[0]]
        )


def _others(others: np.ndarray) -> int:
    """The most people beside the dancer, of (N,), that more than a few frames show."""
    return max((k for k in range(1, int(others.max(initial=0)) + 1) if (others >= k).mean() > OFTEN), default=0)


def _company(annotations: Annotations, others: np.ndarray) -> Iterator[Finding]:
    if most := _others(others):
        text = f"{most + 1} people{_when(annotations, others > 0)}"
        advice = "alone is best; --preview shows who was followed, --person 0, 1, ... names another"
        yield Finding(text, advice, 0.5 * float((others > 0).mean()))


def bystanders(
    others: Sequence[np.ndarray],
    outside: np.ndarray | None,
    frames: int,
    fps: float,
    confirmed: np.ndarray | None = None,
) -> np.ndarray:
    """(N,) how many people beside the dancer there are in each frame.

    Args:
        others: for each their keypoints (N, 18, 3).
        outside: (P, N) share of each one's keypoints that lie off the dancer's outline: a person mostly on it is a
            duplicate of the dancer. None: unknown.
        frames: N.
        fps: frames per second.
        confirmed: (P,) share of the looks in which a second network sees each one: what it mostly does not is
            furniture. None: there is no such network.
    """
    there = np.array([(keypoints[..., 2] > 0).any(axis=1) for keypoints in others], bool).reshape(-1, frames)
    if outside is not None:
        there &= outside > 0.5
    if confirmed is not None:
        there &= confirmed[:, None] > 0.5
    calm = np.ones((1, max(1, round(_CALM * fps))), bool)
    return ndimage.binary_opening(there, calm).sum(axis=0)  # nobody appears for a moment only


def _when(annotations: Annotations, flags: np.ndarray) -> str:
    """The longest span in which something is so, in brackets; nothing where it is so all the time."""
    gaps = max(1, round(_CALM * annotations.fps))
    padded = np.pad(flags, gaps, mode="constant")
    joined = ndimage.binary_closing(padded, np.ones(gaps, bool))[gaps:-gaps]
    spans = runs(joined)
    if not spans or joined.mean() > 0.99:
        return ""
    longest = max(spans, key=lambda span: span[1] - span[0])
    return f" ({'longest ' if len(spans) > 1 else ''}{_seconds(annotations, *longest)})"


def _seconds(annotations: Annotations, begin: int, end: int) -> str:
    return f"{annotations.times[begin]:.1f}-{annotations.times[end] + 1 / annotations.fps:.1f} s"


def _percent(share: float) -> str:
    """A share in words that does not round 'nearly' to 'all' or to 'none'."""
    if 0.995 <= share < 1:
        return "99%"
    return "1%" if 0 < share < 0.01 else f"{share:.0%}"


def preview(
    frames: Iterable[np.ndarray],
    annotations: Annotations,
    tracks: Sequence[Track],
    chosen: int,
    outlines: Iterable[np.ndarray | None] | None = None,
) -> Iterator[np.ndarray]:
    """The frames with everybody's skeleton, number (as for `--person`) and confidence on them, and the chosen one's
    outline.

    The chosen person's skeleton is what goes to the next step: a dot is darker the lower its keypoint's confidence, and
    red where it was filled in over time. The others are faint.

    Args:
        frames: (H, W, 3) uint8 RGB, all N of the video, working size.
        annotations: of the chosen person.
        tracks: everybody.
        chosen: number of the chosen one.
        outlines: (H, W) uint8 of each frame, 255 = the person, or None; None: none are drawn.
    """
    for i, (frame, outline) in enumerate(zip(frames, outlines if outlines is not None else repeat(None), strict=False)):
        canvas = frame.copy()
        if outline is not None:
            skeleton.draw_outline(canvas, outline)
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
