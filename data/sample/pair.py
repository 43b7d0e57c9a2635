"""The sample pair: who the two persons are, where they stand, and what they do."""

from dataclasses import dataclass

import numpy as np

from data.sample.figure import Figure, build_figure
from data.sample.looks import Cloth, Look
from data.sample.motion import FPS, Dance, test_dance, train_dance
from data.sample.pose import Body, Pose, solve
from data.sample.renderer import Camera
from data.sample.room import ROOM_A, ROOM_B, Room

SEED = 1
SECONDS = {"train": 30.0, "test": 25.0}

PERSON_A = (
    Body(
        height=1.66, shoulders=0.099, hips=0.054, legs=0.530, arms=0.98, head=1.03, girth=0.96, muscle=0.95, waist=0.90,
        hip_girth=1.06, bust=0.034,
    ),
    Look(
        skin=(0.87, 0.67, 0.55), hair_style="bun", hair=(0.36, 0.19, 0.10), eyes=(0.20, 0.34, 0.25),
        lips=(0.74, 0.34, 0.36), nose=0.82, sleeves=0.36, top_loose=0.013, top_hem=-0.02, legs=0.97, bottom_loose=0.010,
        top=Cloth((0.95, 0.93, 0.88), (0.78, 0.22, 0.22), "stripes", 0.062), bottom=Cloth((0.17, 0.26, 0.44)),
        shoe=(0.95, 0.95, 0.94), sole=(0.93, 0.93, 0.9),
    ),
)  # fmt: skip
PERSON_B = (
    Body(
        height=1.86, shoulders=0.110, hips=0.050, legs=0.528, arms=1.02, head=1.09, girth=1.06, muscle=1.04, waist=1.02,
        hip_girth=0.97, belly=0.01,
    ),
    Look(
        skin=(0.60, 0.42, 0.31), hair_style="short", hair=(0.10, 0.08, 0.07), eyes=(0.22, 0.13, 0.08), beard=0.55,
        lips=(0.60, 0.33, 0.29), sleeves=0.97, top_loose=0.020, top_hem=-0.05, legs=0.97, bottom_loose=0.016,
        flare=0.004, top=Cloth((0.16, 0.50, 0.46), (0.96, 0.80, 0.36), "checks", 0.085), bottom=Cloth((0.20, 0.22,
        0.29)), shoe=(0.75, 0.16, 0.16), sole=(0.95, 0.95, 0.93),
    ),
)  # fmt: skip
CAMERA_A = Camera((0.1, 1.35, 4.75), pitch=0.075, yaw=0.02, focal=545.0)
CAMERA_B = Camera((-0.25, 0.85, 5.70), pitch=-0.020, yaw=-0.04, focal=600.0)


@dataclass(frozen=True)
class Clip:
    """A figure in a motion before a camera."""

    figure: Figure
    poses: Pose
    camera: Camera
    room: Room

    def __len__(self) -> int:
        return len(self.poses.root)


def perform(
    person: tuple[Body, Look],
    dance: Dance,
    seconds: float,
    camera: Camera,
    room: Room,
    seed: int = SEED,
    detail: float = 0.75,
) -> Clip:
    """A person doing a dance; `detail` as in `build_figure`."""
    times = np.arange(round(seconds * FPS)) / FPS
    return Clip(
        build_figure(*person, detail, seed), solve(person[0], dance.stance(times, seed), smooth=2.0), camera, room
    )


def clips(seed: int = SEED) -> dict[str, Clip]:
    """The clips: train (A moves), test (B dances), truth (A does B's dance in A's room)."""
    train, test = train_dance(), test_dance()
    return {
        "train": perform(PERSON_A, train, SECONDS["train"], CAMERA_A, ROOM_A, seed),
        "test": perform(PERSON_B, test, SECONDS["test"], CAMERA_B, ROOM_B, seed + 1),
        "truth": perform(PERSON_A, test, SECONDS["test"], CAMERA_A, ROOM_A, seed + 1),
    }
