"""How well do poses land on another person in another room? Prints one table.

    python benchmarks/normalise.py [--seed N] [--pairs N] [--noise 0]

Pairs of a training video and a dance are made as keypoints only, from the figures, dances and cameras of `data/sample`:
bodies from child to basketball player, cameras 2 to 12 m away, 0.5 to 2.5 m high, tilted, short and long lenses,
portrait to landscape, 16 to 30 frames a second. Keypoints get 3 pixels of jitter, 20 % are missing, 2 % lie anywhere,
frames are dropped, a second person comes by; then they are tracked and cleaned as in step 1.

The truth is the target's body doing the dance's movements before the target's camera. Steps grow with the legs, as
everything else does. The middle of the dancer's way (between its 5th and 95th percentile) lies where the middle of the
target's way in the training video is, and who goes towards the camera, along the line from that middle, still does. A
pair whose truth leaves the target's picture is drawn anew, as what to do then is a matter of taste. In the last class,
"oneself", the training video is the first part of a video and the dance the rest of it: there the truth is that nothing
changes.

In four more classes the dance's camera is held in the hand: it sways while the dancer moves as in the other classes,
pans to and fro, zooms in and out, or follows a dancer who walks along. Keypoints are what such a camera sees; what the
camera did is known as step 1 knows it, but for an error that grows to `--camera_error` pixels, and is taken out first.

Errors are in per cent of the height that the target has in the picture, standing where the truth is. A pair fails where
a method raises or its mean error is above 10 %. Where step 1 lost the person for long, or took the wrong one, no step 2
can be right; these pairs count, and a row without them shows what step 2 does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace

import cv2
import numpy as np
import tyro
from scipy.ndimage import gaussian_filter1d

from data.homography import grid, move_keypoints, normalised, transform
from data.retarget import PoseSequence, normalise
from data.sample import motion
from data.sample.figure import keypoints_3d
from data.sample.pose import Body, Stance, euler, rest_joints, solve
from data.sample.renderer import Camera
from data.video import working_size
from pose_detector.cleaning import clean
from pose_detector.errors import InputError
from pose_detector.skeleton import ANKLES, HEAD, LIMBS, NOSE, VISIBLE_LIMBS
from pose_detector.tracking import track

KINDS = ("still", "sideways", "towards", "jumps", "squats", "floor", "turn", "oneself")
HELD = ("sway", "pan", "zoom", "walk-along")  # the dance's camera moves
SHAPES = ((1920, 1080), (1080, 1920), (640, 480), (1080, 1080), (692, 1108))
SECONDS = {"train": 12.0, "dance": 6.0}
BRAKE = 0.08  # body heights per second: a foot slower than this stands
FAILED = 10.0  # per cent
TRIES = 400  # to draw a dance of a kind that stays in the target's picture; then another target is drawn
LOST = 0.1  # share of the frames without the right person from which on step 1, not step 2, is to blame


@dataclass
class Settings:
    seed: int = 1000  # another one, other pairs
    pairs: int = 312
    noise: float = 1.0  # 0: exact keypoints; 1: as described above
    camera_error: float = 0.4  # pixels by which the path of a moving camera is wrong
    worst: int = 0  # list so many of the worst pairs


@dataclass
class Clip:
    """One person in one video: exact points, and what step 1 makes of what a detector sees."""

    body: Body
    camera: Camera
    fps: float
    world: np.ndarray  # (N, 18, 3) metres
    keypoints: np.ndarray  # (N, 18, 3) in pixels of the steady camera
    filled: np.ndarray  # (N, 18)
    path: np.ndarray | None = None  # (N, 3, 3) from what the camera really shows to that; None: it stands
    lost: float = 0.0  # share of the frames in which step 1 lost the person or took another one


@dataclass
class Pair:
    """A target, a dance, and what the dance should become."""

    kind: str
    traits: tuple[str, ...]
    target: Clip
    dance: Clip
    truth: np.ndarray  # (N, 18, 2) pixels
    tall: np.ndarray  # (N,) pixels that the target's height has there
    standing: np.ndarray  # (N, 2) bool: the right, left foot stands


# ---- Bodies, dances, cameras -----------------------------------------------------------------------------------------


def random_body(rng: np.random.Generator, stature: str) -> Body:
    """Proportions of a child (1.0-1.4 m), an adult, or a giant (1.95-2.15 m)."""
    low, high = {"child": (1.0, 1.4), "adult": (1.5, 1.95), "giant": (1.95, 2.15)}[stature]
    height = rng.uniform(low, high)
    legs = {"child": 0.495, "adult": 0.525, "giant": 0.54}[stature]
    return Body(
        height=height,
        shoulders=rng.uniform(0.09, 0.12),
        hips=rng.uniform(0.047, 0.06),
        legs=legs + rng.uniform(-0.02, 0.02),
        arms=rng.uniform(0.92, 1.08),
        head=(height / 1.75) ** 0.5 * rng.uniform(0.95, 1.08),
    )


def perform(rng: np.random.Generator, kind: str, seconds: float, fps: float) -> Stance:
    """A random dance of a kind (one of `KINDS`, or "mixed")."""
    m = motion
    phrases = {
        "still": (m.groove, m.overhead, m.cross_open, m.disco, m.roll, m.vogue),
        "sideways": (m.side_touch, m.side_touch, m.clap, m.lunge),
        "towards": (m.walk,),
        "jumps": (m.groove, m.overhead, m.clap, m.disco),
        "squats": (m.bend, m.groove, m.cross_open),
        "floor": (m.groove, m.disco, m.clap),
        "turn": (m.groove, m.turns, m.overhead),
        "mixed": m.PHRASES,
        "sway": m.PHRASES,
        "pan": (m.groove, m.overhead, m.clap, m.disco),
        "zoom": (m.groove, m.overhead, m.clap, m.disco),
        "walk-along": (m.side_touch, m.side_touch, m.walk),
    }[kind]
    bpm, order, beats, sign = rng.uniform(95, 140), [], 0, int(rng.choice((-1, 1)))
    while beats < seconds * bpm / 60:
        phrase = phrases[rng.integers(len(phrases))]
        # A walk forth comes back; as does a side step within its eight beats.
        length = 8 if phrase in (m.walk, m.side_touch) else 4
        order.append((phrase, sign, length))
        beats += length
        sign = -sign if phrase is m.walk else int(rng.choice((-1, 1)))
        if phrase is m.walk and kind == "mixed":
            order.append((m.walk, sign, 8))
            beats += 8
    times = np.arange(round(seconds * fps)) / fps
    stance = m.choreograph(bpm, order).stance(times, int(rng.integers(1 << 30)))
    if kind == "jumps":
        lift = np.zeros(len(times))
        for start in np.arange(0.8, seconds - 0.8, rng.uniform(0.9, 1.6)):
            rise = rng.uniform(0.12, 0.45)
            span = np.sqrt(8 * rise / 9.81)
            u = (times - start) / span
            lift += np.where((u > 0) & (u < 1), 4 * rise * u * (1 - u), 0)
        stance.place[:, 1] += lift
        stance.feet[..., 1] += lift[:, None]
    if kind in ("squats", "floor"):
        down = np.clip(1.6 * np.sin(2 * np.pi * times / rng.uniform(2.5, 4.0)) ** 2 - 0.3, 0, 1)
        down = gaussian_filter1d(down, 0.12 * fps)
        stance.place[:, 1] -= (0.45 if kind == "squats" else 0.68) * down
        if kind == "floor":  # hands to the floor before the feet, or sitting behind them
            if rng.random() < 0.5:
                stance.lean[:, 0] += 1.1 * down
                stance.hands += down[:, None, None] * (np.array([0.15, 0.1, 0.95]) - stance.hands)
            else:
                stance.place[:, 2] -= 0.40 * down
                stance.lean[:, 0] -= 0.15 * down
                stance.feet[..., 2] += 0.1 * down[:, None]
    if kind == "turn":
        begin, span = rng.uniform(0.5, 2), rng.uniform(1.5, 3)
        for start in (begin, begin + span + rng.uniform(0.3, 1.0)):
            u = np.clip((times - start) / span, 0, 1)
            angle = sign * 2 * np.pi * u * u * (3 - 2 * u)
            spin, middle = euler(0 * angle, angle, 0 * angle), stance.place * [1, 0, 1]
            stance.feet = (spin @ (stance.feet - middle[:, None]).swapaxes(1, 2)).swapaxes(1, 2) + middle[:, None]
            stance.turn, stance.aim = stance.turn + angle, stance.aim + angle[:, None]
    return stance


def joints_of(body: Body, stance: Stance) -> np.ndarray:
    """(N, 18, 3) metres."""
    figure = SimpleNamespace(body=body, joints=rest_joints(body))
    return keypoints_3d(figure, solve(body, stance, smooth=2.0))


def middle_of(world: np.ndarray) -> np.ndarray:
    """(3,) the middle of somebody's way on the floor, metres."""
    return np.percentile(world[:, [8, 11]].mean(1), (5, 95), axis=0).mean(0) * [1, 0, 1]


def random_camera(rng: np.random.Generator, world: np.ndarray, room: float = 0.0) -> Camera:
    """A camera that shows all of somebody, and `room` heights of free floor on either side."""
    tall = np.ptp(world[..., 1])
    for _ in range(10_000):
        width, height = working_size(*SHAPES[rng.integers(len(SHAPES))])
        up, away = rng.uniform(0.5, 2.5), np.exp(rng.uniform(np.log(2), np.log(12)))
        camera = Camera(
            position=tuple(middle_of(world) + np.array([0, up, away])),
            pitch=rng.normal(0.0, 0.15),
            yaw=rng.normal(0.0, 0.1),
            focal=max(width, height) * np.exp(rng.uniform(np.log(0.75), np.log(2.0))),
            width=width,
            height=height,
        )
        x, y, depth = np.moveaxis(camera.project(world), -1, 0)
        side = room * tall * camera.focal / np.median(depth)
        margin = 0.04 * height  # feet and the top of the head reach beyond their keypoints
        inside = (x > side) & (x < width - 1 - side) & (y > margin) & (y < height - 1 - margin)
        if depth.min() > 0.8 and inside.mean() > 0.99 and 0.25 < tall * camera.focal / np.median(depth) / height < 0.85:
            return camera
    raise RuntimeError("no camera fits")


def held_path(rng: np.random.Generator, kind: str, clip: Clip) -> np.ndarray:
    """(N, 3, 3) from the pixels of a camera in the hand to those of the clip's steady one."""
    count, camera = len(clip.world), clip.camera
    times = np.arange(count) / clip.fps

    def wander(seconds: float) -> np.ndarray:
        values = gaussian_filter1d(rng.normal(size=count), seconds * clip.fps)
        return values / max(np.abs(values).max(), 1e-9)

    tremor = np.radians(0.1)
    yaw, pitch, roll = (tremor * wander(0.08) for _ in range(3))
    zoom = 1 + 0 * times
    if kind == "sway":
        yaw, pitch, roll = (a + np.radians(size) * wander(0.7) for a, size in ((yaw, 2), (pitch, 2), (roll, 1)))
        zoom = np.exp(0.03 * wander(1.0))
    if kind == "pan":
        yaw = yaw + np.radians(rng.uniform(4, 8)) * np.sin(2 * np.pi * times / rng.uniform(3, 6) + rng.uniform(0, 6))
    if kind == "zoom":
        zoom = np.exp(rng.uniform(0.1, 0.25) * np.sin(2 * np.pi * times / rng.uniform(3, 6) + rng.uniform(0, 6)))
    if kind == "walk-along":
        x = camera.project(clip.world[:, [8, 11]])[..., 0].mean(1)
        middle = gaussian_filter1d(x - np.median(x), 0.3 * clip.fps)
        yaw = yaw - np.arctan(0.9 * middle / camera.focal)
    x, y = (camera.width - 1) / 2, (camera.height - 1) / 2
    inner = np.array([[camera.focal, 0, x], [0, camera.focal, y], [0, 0, 1]])
    lens = np.stack([np.diag([1 / z, 1 / z, 1]) for z in zoom])
    return normalised(inner @ euler(pitch, yaw, roll).swapaxes(1, 2) @ lens @ np.linalg.inv(inner))


def wrong_path(rng: np.random.Generator, clip: Clip, error: float) -> np.ndarray:
    """The clip's path as step 1 finds it: the picture's corners off by `error` pixels (median), smoothly and anew in
    every frame."""
    corners = grid((clip.camera.width, clip.camera.height), 2)
    slow = gaussian_filter1d(rng.normal(size=(len(clip.path), 4, 2)), 0.5 * clip.fps, axis=0)
    off = slow / slow.std() + 0.5 * rng.normal(size=slow.shape)
    off *= error / np.median(np.linalg.norm(off, axis=-1))
    wrong = [cv2.getPerspectiveTransform(np.float32(corners), np.float32(corners + o)) for o in off]
    return normalised(np.stack(wrong) @ clip.path)


# ---- What a detector sees --------------------------------------------------------------------------------------------


def seen_by(clip: Clip, world: np.ndarray) -> np.ndarray:
    """(N, K, 2) pixels in which the clip's camera, moving or not, shows points (N, K, 3)."""
    points = clip.camera.project(world)[..., :2]
    return points if clip.path is None else transform(np.linalg.inv(clip.path), points)


def detections(rng: np.random.Generator, clip: Clip, noise: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """People as `pose_detector.tracking.track` takes them."""
    count = len(clip.world)
    people = [clip.world]
    if noise:
        # Somebody else stands beside, a little behind, for a third of the time.
        body, side = random_body(rng, "adult"), rng.choice((-1.0, 1.0))
        other = joints_of(body, perform(rng, "still", count / clip.fps, clip.fps))
        people.append(other[:count] + middle_of(clip.world) + [side * rng.uniform(0.9, 1.3), 0, rng.uniform(-1.0, 0.0)])
    points = np.stack([seen_by(clip, world) for world in people], 1)
    seen = np.full(points.shape[:-1], 0.8)
    if noise:
        wrong = rng.random(seen.shape) < 0.02 * noise
        anywhere = rng.uniform(0, (clip.camera.width, clip.camera.height), points.shape)
        points = np.where(wrong[..., None], anywhere, points + rng.normal(0, 3 * noise, points.shape))
        seen *= rng.uniform(0.6, 1.2, seen.shape) * (rng.random(seen.shape) >= 0.2 * noise)
        seen *= (rng.random(count) >= 0.03 * noise)[:, None, None]
        start = rng.integers(count // 2)
        seen[:start, 1], seen[start + count // 3 :, 1] = 0, 0
    points[seen == 0] = 0
    return [(p.astype(np.float32), s.astype(np.float32)) for p, s in zip(points, seen, strict=True)]


def observe(rng: np.random.Generator, clip: Clip, noise: float) -> Clip:
    """The clip with what step 1 makes of it."""
    if not noise:
        xy = seen_by(clip, clip.world)
        keypoints = np.concatenate([xy, np.ones((*xy.shape[:-1], 1))], -1).astype(np.float32)
        return replace(clip, keypoints=keypoints, filled=np.zeros(keypoints.shape[:2], bool))
    dancer = max(track(detections(rng, clip, noise), clip.fps), key=lambda person: person.score)
    found = clean(dancer.keypoints, clip.fps)
    points = clip.camera.project(clip.world)
    near = np.linalg.norm(found.keypoints[..., :2] - seen_by(clip, clip.world), axis=-1) * points[..., 2] < 0.2 * (
        clip.body.height * clip.camera.focal
    )
    lost = ~(near & (found.keypoints[..., 2] > 0)).any(1)
    return replace(clip, keypoints=found.keypoints, filled=found.filled, lost=lost.mean())


def random_clip(rng: np.random.Generator, stature: str, kind: str, seconds: float, room: float = 0.0) -> Clip:
    body, fps = random_body(rng, stature), float(rng.choice((16, 24, 25, 30)))
    world = joints_of(body, perform(rng, kind, seconds, fps))
    return Clip(body, random_camera(rng, world, room), fps, world, np.zeros(0), np.zeros(0))


def cut(clip: Clip, part: slice) -> Clip:
    return replace(clip, world=clip.world[part])


# ---- Pairs -----------------------------------------------------------------------------------------------------------


def random_pairs(settings: Settings) -> list[Pair]:
    """Targets with one dance of every kind each."""
    rng = np.random.default_rng(settings.seed)
    pairs: list[Pair] = []
    while len(pairs) < settings.pairs:
        number = len(pairs) // (len(KINDS) + len(HELD))
        stature = ("adult", "child", "adult", "giant")[number % 4]
        still = number % 5 == 4
        seconds = SECONDS["train"] + SECONDS["dance"]
        whole = random_clip(rng, stature, "still" if still else "mixed", seconds, 0.1)
        frames = round(SECONDS["train"] * whole.fps)
        target = observe(rng, cut(whole, slice(frames)), settings.noise)
        dances: list[Pair] = []
        for kind in (*KINDS, *HELD):
            if kind == "oneself":
                dance = observe(rng, cut(whole, slice(frames, None)), settings.noise)
                dances.append(as_pair(kind, (), target, dance, dance.world))
                continue
            tries = (random_pair(rng, kind, stature, still, target, settings) for _ in range(TRIES))
            pair = next((found for found in tries if found is not None), None)
            if pair is None:  # no room for this kind of dance before this camera
                break
            dances.append(pair)
        else:
            pairs += dances
    return pairs[: settings.pairs]


def random_pair(
    rng: np.random.Generator, kind: str, stature: str, still: bool, target: Clip, settings: Settings
) -> Pair | None:
    """A dance for a target; None if it leaves the picture."""
    other = ("adult", "child", "giant")[rng.choice(3, p=(0.6, 0.25, 0.15))]
    body, fps = random_body(rng, other), float(rng.choice((16, 24, 25, 30)))
    stance = perform(rng, kind, SECONDS["dance"], fps)
    world = joints_of(body, stance)
    dance = Clip(body, random_camera(rng, world), fps, world, np.zeros(0), np.zeros(0))
    ideal = joints_of(target.body, stance)
    ideal += middle_of(target.world) - middle_of(ideal)
    x, y, depth = np.moveaxis(target.camera.project(ideal), -1, 0)
    inside = (x > 0) & (x < target.camera.width - 1) & (y > 0) & (y < target.camera.height - 1)
    if depth.min() < 0.8 or inside.mean() < 0.99:
        return None
    apart = {
        "child and adult": (stature == "child") != (other == "child"),
        "high and low camera": abs(target.camera.position[1] - dance.camera.position[1]) > 1,
        "portrait and landscape": (target.camera.width > target.camera.height)
        != (dance.camera.width > dance.camera.height),
        "near and far camera": not 0.5 < camera_distance(target) / camera_distance(dance) < 2,
        "target stands still": still,
    }
    traits = tuple(name for name, holds in apart.items() if holds)
    if kind in HELD:
        dance = replace(dance, path=held_path(rng, kind, dance))
    dance = observe(rng, dance, settings.noise)
    if kind in HELD:
        dance = replace(dance, keypoints=move_keypoints(dance.keypoints, wrong_path(rng, dance, settings.camera_error)))
    return as_pair(kind, traits, target, dance, ideal)


def camera_distance(clip: Clip) -> float:
    return float(clip.camera.position[2] - middle_of(clip.world)[2])


def as_pair(kind: str, traits: tuple[str, ...], target: Clip, dance: Clip, ideal: np.ndarray) -> Pair:
    projected = target.camera.project(ideal)
    depth = projected[:, [8, 11], 2].mean(1)
    speed = np.linalg.norm(np.gradient(ideal[:, list(ANKLES)], axis=0), axis=-1) * dance.fps / target.body.height
    low = ideal[:, list(ANKLES), 1] < 0.045 * target.body.height + 0.03
    return Pair(
        kind=kind,
        traits=traits,
        target=target,
        dance=dance,
        truth=projected[..., :2],
        tall=target.body.height * target.camera.focal / depth,
        standing=low & (speed < BRAKE),
    )


# ---- Formulas to compare with ----------------------------------------------------------------------------------------


def _toes_and_heights(keypoints: np.ndarray, nose_only: bool) -> tuple[np.ndarray, np.ndarray]:
    """(n,) lowest ankle and height above it, in pixels, of the frames that show both ends."""
    seen, y = keypoints[..., 2] > 0, keypoints[..., 1]
    toes = np.where(seen[:, list(ANKLES)], y[:, list(ANKLES)], -np.inf).max(1)
    head = [NOSE] if nose_only else list(HEAD)
    top = np.where(seen[:, head], y[:, head], np.inf).min(1)
    good = np.isfinite(toes) & np.isfinite(top)
    return toes[good], (toes - top)[good]


def official(pair: Pair) -> np.ndarray:
    """The rule of the paper's authors' own code: feet between a far and a close line, scale linear in between; x is
    scaled about the middle of the picture."""
    ends, stats = [], []
    for clip in (pair.target, pair.dance):
        toes, heights = _toes_and_heights(clip.keypoints, nose_only=False)
        close, median = toes.max(), np.median(toes)
        above = median - toes
        above = above[(above > 0) & (above < 0.5 * (close - median))]
        ends.append((close, median - above.max()))
        stats.append((toes, heights))
    (m_close, m_far), (t_close, t_far) = ends
    if t_close - t_far < m_close - m_far:
        middle, half = (m_close + m_far) / 2, (t_close - t_far) / 2
        m_far, m_close = middle - half, middle + half
    tallest = []
    for (toes, heights), (close, far) in zip(stats, ((m_close, m_far), (t_close, t_far)), strict=True):
        reach = 0.05 * (close - far)
        near_close = heights[np.abs(toes - close) <= reach].max(initial=0)
        near_far = heights[np.abs(toes - far) <= reach].max(initial=0)
        near_close = heights.max() if heights.max() - near_close > 0.1 * heights.max() else near_close
        tallest.append((near_close, near_far))
    scale_close, scale_far = tallest[0][0] / tallest[1][0], tallest[0][1] / tallest[1][1]
    keypoints = pair.dance.keypoints
    toes = _floor(keypoints)
    share = (toes - t_far) / (t_close - t_far)
    scale = scale_far + share * (scale_close - scale_far)
    move = m_far + share * (m_close - m_far) - toes
    return _apply(pair, scale, toes[0], move)


def published(pair: Pair) -> np.ndarray:
    """A widespread copy of it: 'far' is the value next to the median, a height is from the nose to the lowest ankle."""
    ends = []
    for clip in (pair.target, pair.dance):
        toes, heights = _toes_and_heights(clip.keypoints, nose_only=True)
        close, far = toes.max(), toes[toes < np.median(toes)].max()
        ends.append((close, far, heights[toes == close].max(), heights[toes == far].max()))
    (m_close, m_far, m_tall, m_short), (t_close, t_far, t_tall, t_short) = ends
    toes = _floor(pair.dance.keypoints)
    share = (toes - t_far) / (t_close - t_far)
    scale = m_short / t_short + share * (m_tall / t_tall - m_short / t_short)
    return _apply(pair, scale, toes[0], m_far + share * (m_close - m_far) - toes)


def _floor(keypoints: np.ndarray) -> np.ndarray:
    """(N,) y of the lowest ankle, of the frame before where none is seen."""
    seen = keypoints[:, list(ANKLES), 2] > 0
    toes = np.where(seen, keypoints[:, list(ANKLES), 1], -np.inf).max(1)
    known = np.maximum.accumulate(np.where(np.isfinite(toes), np.arange(len(toes)), 0))
    return toes[np.where(np.isfinite(toes[known]), known, np.argmax(np.isfinite(toes)))]


def _apply(pair: Pair, scale: np.ndarray, first: float, move: np.ndarray) -> np.ndarray:
    """Scale about the middle of the picture and the first frame's feet, then move up or down."""
    keypoints, result = pair.dance.keypoints, pair.dance.keypoints.copy()
    here, there = (pair.dance.camera.width - 1) / 2, (pair.target.camera.width - 1) / 2
    result[..., 0] = there + scale[:, None] * (keypoints[..., 0] - here)
    result[..., 1] = first + scale[:, None] * (keypoints[..., 1] - first) + move[:, None]
    return result


def ours(method: str) -> Callable[[Pair], np.ndarray]:
    def run(pair: Pair) -> np.ndarray:
        dance, target = (
            PoseSequence(clip.keypoints, clip.filled, clip.fps, (clip.camera.width, clip.camera.height))
            for clip in (pair.dance, pair.target)
        )
        return normalise(dance, target, method)[0]

    return run


# ---- Measures --------------------------------------------------------------------------------------------------------


@dataclass
class Score:
    """Of one pair; in per cent of the target's height but for `outside`."""

    errors: np.ndarray  # (n,) of every keypoint
    sliding: np.ndarray  # (n,) speed of standing feet, per second
    off_floor: np.ndarray  # (n,) standing feet above or below where they should be
    limbs: np.ndarray  # (n,) wrong length of limbs
    outside: np.ndarray  # (N,) bool, a keypoint is out of the picture


def score(pair: Pair, result: np.ndarray) -> Score:
    known = pair.dance.keypoints[..., 2] > 0
    unit = 100 / pair.tall[:, None]
    xy = result[..., :2].astype(np.float64)
    errors = (np.linalg.norm(xy - pair.truth, axis=-1) * unit)[known]
    feet = list(ANKLES)
    stands = pair.standing & known[:, feet]
    both = stands[1:] & stands[:-1]
    speed = np.linalg.norm(np.diff(xy[:, feet], axis=0), axis=-1) * pair.dance.fps * unit[1:]
    off = np.abs(xy[:, feet, 1] - pair.truth[:, feet, 1]) * unit
    a, b = LIMBS[:VISIBLE_LIMBS].T
    lengths = [np.linalg.norm(points[:, a] - points[:, b], axis=-1) for points in (xy, pair.truth)]
    wrong = (np.abs(lengths[0] - lengths[1]) * unit)[known[:, a] & known[:, b]]
    limit = np.array([pair.target.camera.width - 1, pair.target.camera.height - 1])
    outside = (((xy < 0) | (xy > limit)).any(-1) & known).any(1)
    return Score(errors, speed[both], off[stands], wrong, outside)


def row(name: str, scores: list[Score | None]) -> str:
    good = [s for s in scores if s is not None]
    means = np.array([s.errors.mean() for s in good])
    fails = len(scores) - len(good) + int((means > FAILED).sum())
    every = lambda field: np.concatenate([getattr(s, field) for s in good])  # noqa: E731
    return (
        f"{name:34} {len(scores):5} {means.mean():7.1f} {np.percentile(every('errors'), 95):7.1f} {means.max():7.1f} "
        f"{fails:6} {every('sliding').mean():8.1f} {every('off_floor').mean():7.1f} {every('limbs').mean():7.1f} "
        f"{every('outside').mean():8.1%}"
    )


def main(settings: Settings) -> None:
    """Print the table."""
    start = time.perf_counter()
    pairs = random_pairs(settings)
    made = time.perf_counter() - start
    methods = {"published": published, "official": official, "global": ours("global"), "limbs": ours("limbs")}
    scores: dict[str, list[Score | None]] = {name: [] for name in methods}
    seconds = dict.fromkeys(methods, 0.0)
    with np.errstate(all="ignore"):
        for name, method in methods.items():
            for pair in pairs:
                start = time.perf_counter()
                try:
                    result = method(pair)
                    ok = np.isfinite(result[pair.dance.keypoints[..., 2] > 0]).all()
                except (ValueError, IndexError, InputError):
                    ok = False
                seconds[name] += time.perf_counter() - start
                scores[name].append(score(pair, result) if ok else None)
    print(
        f"{'% of the height':34} {'pairs':>5} {'mean':>7} {'95 %':>7} {'worst':>7} {'failed':>6} {'slide/s':>8} "
        f"{'floor':>7} {'limbs':>7} {'outside':>8}"
    )
    traits = sorted({trait for pair in pairs for trait in pair.traits})
    kept = [i for i, pair in enumerate(pairs) if max(pair.target.lost, pair.dance.lost) < LOST]
    classes = {"all": range(len(pairs)), "all but lost in step 1": kept}
    classes |= {kind: [i for i, pair in enumerate(pairs) if pair.kind == kind] for kind in (*KINDS, *HELD)}
    classes |= {trait: [i for i, pair in enumerate(pairs) if trait in pair.traits] for trait in traits}
    for title, members in classes.items():
        for name in methods:
            if len(members):
                print(row(f"{title}: {name}", [scores[name][i] for i in members]))
    used = ", ".join(f"{name} {1000 * spent / len(pairs):.0f}" for name, spent in seconds.items())
    print(f"seed {settings.seed}; {made:.0f} s to make the pairs; milliseconds a pair: {used}")
    order = sorted(range(len(pairs)), key=lambda i: -s.errors.mean() if (s := scores["limbs"][i]) else -np.inf)
    for i in order[: settings.worst]:
        errors = {name: scores[name][i].errors.mean() if scores[name][i] else np.nan for name in methods}
        print(i, pairs[i].kind, pairs[i].traits, {name: round(float(e), 1) for name, e in errors.items()})


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
