"""Dances: keyframes on the beats of a bar, steps of planted feet, and the habits of a body that keeps time.

A dance is written as phrases of four beats. What a dancer does without thinking is added by rule: knees bend on the
beat, weight goes to the standing foot, hips and shoulders counter each other, hands arrive late, the head stays with
the audience.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from data.sample.pose import Stance

FPS = 25

# wrists relative to the shoulders in arm lengths: outwards, up, forwards
HANG = (0.17, -0.93, 0.12)
READY = (0.20, -0.50, 0.50)
HIP = (0.16, -0.66, 0.14)
UP = (0.12, 0.94, 0.12)
UP_IN = (-0.20, 0.90, 0.18)
SIDE = (0.97, 0.02, 0.12)
HIGH = (0.70, 0.68, 0.14)
LOW = (0.60, -0.72, 0.20)
BACK = (0.30, -0.80, -0.38)
CHEST = (-0.26, -0.34, 0.42)
CROSS = (-0.56, -0.24, 0.40)
CROSS_LOW = (-0.48, -0.68, 0.36)
FAR = (-0.72, 0.02, 0.44)
TEMPLE = (-0.08, 0.46, 0.24)
FACE = (-0.26, 0.22, 0.46)


NEUTRAL = {
    "turn": 0.0,
    "lean": (0.0, 0.0),
    "spine": (0.0, 0.0, 0.0),
    "head": (0.0, 0.0, 0.0),
    "hands": (HANG, HANG),
    "elbows": (0.5, 0.5),
    "wrists": ((0.1, 0.1), (0.1, 0.1)),
    "shrug": (0.0, 0.0),
    "heels": (0.0, 0.0),
    "crouch": 0.02,
    "bounce": 0.03,
    "sway": 0.0,
}


@dataclass
class Dance:
    """Keyframes on beats.

    keys: channel -> list of (beat, value); channels are turn (radians), spine, head, lean (tuples as in `Stance`),
    hands (right, left), elbows, wrists, shrug, crouch (metres), bounce (metres), sway (-1 right, 1 left).
    steps: per foot (right, left) tuples (lift-off beat, landing beat, x, z, aim, height).
    """

    bpm: float
    keys: dict[str, list] = field(default_factory=dict)
    steps: tuple[list, list] = field(default_factory=lambda: ([], []))

    def key(self, beat: float, **channels) -> None:
        """Say what channels are at a beat."""
        for name, value in channels.items():
            self.keys.setdefault(name, []).append((beat, np.asarray(value, float)))

    def hit(self, beat: float, **channels) -> None:
        """A key of every channel: those not given are neutral. A later key at the same beat replaces it."""
        self.key(beat, **{**NEUTRAL, **channels})

    def step(
        self, foot: int, beat: float, x: float, z: float, aim: float = 0.0, lift: float = 0.07, time: float = 0.75
    ) -> None:
        """Foot 0 = right, 1 = left lands on `beat` at x, z (metres), turned by `aim` beyond its natural angle."""
        self.steps[foot].append((beat - time, beat, x, z, aim + (0.22 if foot else -0.22), lift))

    def stance(self, times: np.ndarray, seed: int = 0) -> Stance:
        """Targets at times in seconds (N,)."""
        beat = np.asarray(times) * self.bpm / 60
        rng = np.random.default_rng(seed)
        crouch = self._track("crouch", beat, 0.0)
        bounce = self._track("bounce", beat, 0.03)
        sway = self._track("sway", beat, 0.0, late=0.05)
        pulse = 0.5 + 0.5 * np.cos(2 * np.pi * beat)
        pulse = pulse**1.5  # lowest on the beat, longer up than down
        feet, aim, heel, loads = self._feet(beat)
        weight = gaussian_filter1d(loads[1] - loads[0], 2.2, mode="nearest") * 0.5 + 0.4 * sway
        middle = gaussian_filter1d(feet.mean(1), 3.2, axis=0, mode="nearest")
        across = gaussian_filter1d(feet[:, 1] - feet[:, 0], 3.2, axis=0, mode="nearest")
        hip = middle + 0.34 * weight[:, None] * across
        drift = [gaussian_filter1d(rng.normal(size=len(beat)), 14, mode="nearest") * 3.7 for _ in range(8)]

        turn = self._track("turn", beat, 0.0)
        spine = self._track("spine", beat, (0.0, 0.0, 0.0), late=0.04)
        lean = self._track("lean", beat, (0.0, 0.0))
        head = self._track("head", beat, (0.0, 0.0, 0.0), late=0.08)
        hands = self._track("hands", beat, (HANG, HANG), late=0.10)
        elbows = self._track("elbows", beat, (0.35, 0.35), late=0.05)
        wrists = self._track("wrists", beat, ((0.1, 0.0), (0.1, 0.0)), late=0.16)
        shrug = self._track("shrug", beat, (0.0, 0.0))

        pelvis_roll = -0.13 * weight + lean[:, 1]
        spine = spine + np.stack(
            [
                0.05 + 0.9 * bounce * pulse + 0.02 * drift[0],
                0.03 * drift[1],
                -1.3 * (pelvis_roll - lean[:, 1]) + 0.02 * drift[2],
            ],
            1,
        )
        audience = -0.5 * (turn + spine[:, 1])
        nod = 1.9 * bounce * np.roll(pulse, 2)
        head = head + np.stack(
            [nod - 0.03 + 0.03 * drift[3], audience + 0.05 * drift[4], 0.04 * drift[5] - 0.4 * spine[:, 2]], 1
        )
        swing = bounce[:, None] * np.stack([pulse, np.roll(pulse, 1)], 1)
        hands = hands + swing[:, :, None] * np.array([0.25, -0.9, 0.35])
        hands = gaussian_filter1d(keep_out(hands), 1.0, axis=0, mode="nearest")
        place = np.stack([hip[:, 0], -0.015 - crouch - bounce * pulse, hip[:, 2] - 0.35 * lean[:, 0]], 1)
        return Stance(
            place=place,
            turn=turn + 0.02 * drift[6],
            lean=np.stack([lean[:, 0] + 0.25 * crouch, pelvis_roll], 1),
            spine=spine,
            head=head,
            hands=hands,
            elbows=elbows,
            wrists=wrists + 0.08 * np.stack([drift[6], drift[7]], 1)[:, :, None],
            shrug=shrug + 0.6 * bounce[:, None] * pulse[:, None],
            feet=feet,
            aim=aim,
            heel=heel,
        )

    def _track(self, name: str, beat: np.ndarray, default, late: float = 0.0) -> np.ndarray:
        """Values (N, ...) of a channel: every key is reached `late` beats after its beat and held a moment."""
        default = np.asarray(default, float)
        keys = sorted(dict(self.keys.get(name, [])).items())
        if not keys:
            return np.broadcast_to(default, (len(beat), *default.shape)).copy()
        when = np.array([k[0] for k in keys]) + late
        what = np.array([np.broadcast_to(k[1], default.shape) for k in keys])
        if len(keys) == 1:
            return np.broadcast_to(what[0], (len(beat), *default.shape)).copy()
        gaps = np.diff(when)
        knots, values = [when[0]], [what[0]]
        for i, gap in enumerate(gaps):  # settle a little beyond the key, then leave
            hold = min(0.22 * gap, 0.30)
            knots += [when[i] + hold, when[i + 1]]
            values += [what[i] + 0.04 * (what[i] - what[max(i - 1, 0)]), what[i + 1]]
        curve = PchipInterpolator(np.array(knots), np.array(values), axis=0)
        dense = curve(np.clip(beat, knots[0], knots[-1]))
        return gaussian_filter1d(dense, 1.3, axis=0, mode="nearest")

    def _feet(self, beat: np.ndarray):
        """Ankle targets (N, 2, 3), yaw (N, 2), heel pitch (N, 2), and per foot how much of it is on the floor (N,)."""
        n = len(beat)
        feet, aim, heel, loads = np.zeros((n, 2, 3)), np.zeros((n, 2)), np.zeros((n, 2)), []
        for foot in (0, 1):
            sign = 1 if foot else -1
            where, yaw = np.array([0.13 * sign, 0.0]), 0.22 * sign
            feet[:, foot, [0, 2]], aim[:, foot] = where, yaw
            load = np.ones(n)
            landed = -np.inf
            for start, end, x, z, to, lift in sorted(self.steps[foot]):
                start = max(start, landed)  # a foot lands before it leaves again
                end = landed = max(end, start + 0.35)
                u = np.clip((beat - start) / (end - start), 0, 1)
                smooth = u**3 * (10 - 15 * u + 6 * u * u)
                after = beat >= start
                goal = np.array([x, z])
                feet[after, foot, 0] = (where[0] + (goal - where)[0] * smooth)[after]
                feet[after, foot, 2] = (where[1] + (goal - where)[1] * smooth)[after]
                aim[after, foot] = (yaw + (to - yaw) * smooth)[after]
                arc = np.sin(np.pi * u**0.8) ** 1.3
                feet[:, foot, 1] += np.where((u > 0) & (u < 1), lift * arc, 0)
                heel[:, foot] += np.where(
                    (u > 0) & (u < 1), (0.9 * np.sin(np.pi * u) ** 2 * (1 - u) - 0.25 * np.sin(np.pi * u) * u**3), 0
                )
                load -= np.where((beat > start - 0.15) & (beat < end - 0.1), 1.0, 0.0)
                where, yaw = goal, to
            loads.append(np.clip(load, 0, 1))
        taps = self._track("heels", beat, (0.0, 0.0))
        return feet, aim, heel + np.clip(taps, 0, None), loads


def keep_out(hands: np.ndarray) -> np.ndarray:
    """Move wrist targets (N, 2, 3) that would go through the trunk or the head out to the front."""
    out, up, front = np.moveaxis(hands, -1, 0)
    trunk = 1 / (1 + np.exp((out - 0.02) / 0.05)) / (1 + np.exp((up - 0.18) / 0.06))
    head = (
        1
        / (1 + np.exp((out + 0.06) / 0.05))
        / (1 + np.exp((up - 0.75) / 0.06))
        * (1 - 1 / (1 + np.exp((up - 0.12) / 0.06)))
    )
    least = 0.36 * trunk + 0.40 * head
    front = np.where(trunk + head > 0.02, least + np.logaddexp(0, (front - least) / 0.04) * 0.04, front)
    # and not through the shoulder itself: a hand that passes near it passes in front
    near = 0.05 * np.logaddexp(0, (0.36 - (out**2 + up**2 + front**2)) / 0.05)
    ahead = np.maximum(front, 0)
    front = front + np.clip((front + 0.35) / 0.35, 0, 1) * (np.sqrt(ahead**2 + near) - ahead)
    return np.stack([out, up, front], -1)


# ------------------------------------------------------------------------------------------------------------- phrases
# A phrase fills eight beats from beat b at a place (x, z) on the floor; m = 1, or -1 for the mirror image.

Place = tuple[float, float]


def _pair(m: float, first, second) -> tuple:
    """(right, left) values of a pair given for the leading and the other side; mirrored if m < 0."""
    return (first, second) if m > 0 else (second, first)


def _stand(d: Dance, beat: float, place: Place, width: float = 0.13, turn: float = 0.0) -> None:
    """Both feet under the body."""
    x, z = place
    c, s = np.cos(turn), np.sin(turn)
    d.step(0, beat, x - width * c, z + width * s, turn)
    d.step(1, beat + 0.5, x + width * c, z - width * s, turn)


def groove(d: Dance, b: float, place: Place, m: int = 1) -> None:
    """Side to side with loose arms."""
    for i in range(8):
        s = m * (-1) ** i
        hands = _pair(s, (0.20, -0.46, 0.50), (0.24, -0.66, 0.22))
        loose = ((0.3, 0.2), (0.3, 0.2))
        d.hit(b + i, hands=hands, wrists=loose, sway=s, turn=0.1 * s, spine=(0.06, 0.22 * s, 0.05 * s))
        d.key(b + i, head=(0, 0.1 * s, 0.1 * s), heels=_pair(s, 0.0, 0.42), bounce=0.045, crouch=0.03)


def side_touch(d: Dance, b: float, place: Place, m: int = 1) -> None:
    """Step, together, step, together, with arms that open to the side."""
    x, z = place
    for k, s in ((0, -m), (2, -m), (4, m), (6, m)):
        first = 0 if s < 0 else 1
        x += 0.34 * s
        d.step(first, b + k, x + 0.14 * s, z)
        d.step(1 - first, b + k + 1, x - 0.11 * s, z, lift=0.05)
        flat = {"elbows": (0.6, 0.6), "wrists": ((0.0, 0.3), (0.0, 0.3)), "bounce": 0.035}
        d.hit(b + k, hands=_pair(-s, SIDE, CHEST), spine=(0.0, 0.12 * s, 0.14 * s), head=(0, 0.45 * s, 0), **flat)
        d.key(b + k, turn=0.15 * s, sway=0.7 * s)
        d.hit(b + k + 1, hands=_pair(-s, CHEST, CROSS), spine=(0.10, -0.1 * s, 0), head=(0.1, 0, 0), **flat)


def overhead(d: Dance, b: float, place: Place, m: int = 1) -> None:
    """Both arms rise and sway overhead."""
    _stand(d, b, place, 0.19)
    d.hit(b, hands=(READY, READY), elbows=(0.6, 0.6), crouch=0.05, spine=(0.12, 0, 0), head=(0.15, 0, 0))
    for i in range(2, 8):
        s = m * (-1) ** i
        hands = _pair(s, (-0.10, 0.92, 0.14), (0.46, 0.80, 0.10))
        spread = ((-0.2, 0.5), (-0.2, 0.5))
        d.hit(b + i, hands=hands, elbows=(0.9, 0.9), wrists=spread, sway=s, shrug=(0.05, 0.05), heels=_pair(s, 0, 0.35))
        d.key(b + i, spine=(-0.06, 0.10 * s, -0.16 * s), head=(-0.12, 0, -0.12 * s), turn=0.08 * s)


def cross_open(d: Dance, b: float, place: Place, m: int = 1) -> None:
    """Arms cross before the chest and fly open, high and low."""
    _stand(d, b, place, 0.20)
    shut = [CROSS, CROSS_LOW, FAR, FAR]
    wide = [(HIGH, HIGH), (SIDE, SIDE), (HIGH, LOW), (LOW, HIGH)]
    for i in range(4):
        over, under = np.add(shut[i], (0, 0.05, 0.06)), np.add(shut[i], (0, -0.05, -0.03))
        closed, opened = ((0.3, 0.3), (0.3, 0.3)), ((-0.25, 0), (-0.25, 0))
        d.hit(b + 2 * i, hands=_pair(m, over, under), elbows=(0.7, 0.7), wrists=closed, crouch=0.07, bounce=0.02)
        d.key(b + 2 * i, spine=(0.16, 0, 0), head=(0.15, 0, 0), lean=(0.03, 0))
        s = m * (0, 0, 1, -1)[i]
        d.hit(b + 2 * i + 1, hands=_pair(m, *wide[i]), elbows=(0.7, 0.7), wrists=opened, crouch=0.0, bounce=0.02)
        d.key(b + 2 * i + 1, spine=(-0.06, 0.15 * s, 0.15 * s), head=(-0.1, 0, 0), lean=(0.03, 0))


def disco(d: Dance, b: float, place: Place, m: int = 1) -> None:
    """A pointing arm goes from the far hip to high outside, the other hand rests on the hip."""
    _stand(d, b, place, 0.22)
    for i in range(0, 8, 2):
        s = m if i < 4 else -m  # the right arm points first if m > 0
        rest = {"elbows": _pair(s, 0.5, 1.0), "wrists": ((0, 0.4), (0, 0.4)), "bounce": 0.02}
        d.hit(b + i, hands=_pair(s, (-0.58, -0.66, 0.36), HIP), heels=_pair(s, 0.4, 0.0), crouch=0.07, sway=s, **rest)
        d.key(b + i, turn=0.22 * s, spine=(0.12, -0.10 * s, 0.10 * s), head=(0.1, 0.2 * s, 0))
        d.hit(b + i + 1, hands=_pair(s, (0.52, 0.84, 0.12), HIP), heels=_pair(s, 0, 0.45), crouch=0.0, sway=-s, **rest)
        d.key(b + i + 1, turn=-0.28 * s, spine=(0.0, 0.30 * s, -0.10 * s), head=(-0.18, -0.25 * s, 0))


def turns(d: Dance, b: float, place: Place, m: int = 1) -> None:
    """The whole body turns almost to profile, to one side and then the other."""
    for k, s in ((0, m), (4, -m)):
        angle = 0.98 * s
        _stand(d, b + k, place, 0.13, angle)
        d.hit(b + k + 0.5, turn=angle, hands=_pair(s, READY, BACK), spine=(0.05, 0.1 * s, 0), crouch=0.04, bounce=0.04)
        for i in (1, 2, 3):
            f = s * (1 if i % 2 else -1)
            hands = _pair(f, (0.12, -0.25, 0.72), (0.28, -0.76, -0.22))
            d.hit(b + k + i + 0.25, turn=angle, hands=hands, wrists=((0.2, 0.1), (0.2, 0.1)), bounce=0.04)
            d.key(b + k + i + 0.25, spine=(0.08, 0.25 * f, 0.0), crouch=0.06 if i % 2 else 0.02)
    _stand(d, b + 7.25, place)


def walk(d: Dance, b: float, place: Place, m: int = 1) -> None:
    """Steps towards the camera, or away from it if m = -1, facing it all the time."""
    x, z = place
    for i in range(8):
        z += 0.14 * m if i < 7 else 0.0
        foot = i % 2
        s = 1 if foot == 0 else -1
        d.step(foot, b + i, x - 0.10 * s, z + 0.05 * m, lift=0.09)
        d.hit(b + i, hands=_pair(s, (0.20, -0.80, -0.25), (0.08, -0.52, 0.60)), elbows=(0.3, 0.3), lean=(0.03 * m, 0))
        d.key(b + i, spine=(0.05, 0.20 * s, 0.03 * s), turn=-0.12 * s, sway=-0.6 * s, head=(0, 0, 0.05 * s))


def bend(d: Dance, b: float, place: Place, m: int = 1) -> None:
    """Deep knees: hands to the knees, then up, twisting."""
    _stand(d, b, place, 0.23)
    knee = (0.02, -0.80, 0.46)
    for i in range(0, 8, 2):
        s = m * (-1) ** (i // 2)
        d.hit(b + i, hands=(knee, knee), elbows=(0.9, 0.9), crouch=0.24, bounce=0.01, sway=0.3 * s, turn=0.12 * s)
        d.key(b + i, lean=(0.35, 0), spine=(0.30, 0.12 * s, 0), head=(-0.45, 0, 0.1 * s))
        hands = _pair(s, (0.35, 0.70, 0.40), (0.60, -0.20, 0.45))
        d.hit(b + i + 1, hands=hands, crouch=0.06, bounce=0.01, sway=-0.6 * s, turn=-0.25 * s)
        d.key(b + i + 1, lean=(0.05, 0), spine=(0, -0.25 * s, -0.12 * s), head=(-0.05, 0, 0))


def clap(d: Dance, b: float, place: Place, m: int = 1) -> None:
    """Step and clap, low, in front and overhead."""
    x, z = place
    front, low, high = (-0.32, -0.10, 0.62), (-0.30, -0.52, 0.55), (-0.31, 0.82, 0.22)
    for i, where in enumerate((front, low, front, high)):
        s = -m * (-1) ** i
        foot = 0 if s < 0 else 1
        x += 0.16 * s
        d.step(foot, b + 2 * i, x + 0.15 * s, z + 0.03)
        d.step(1 - foot, b + 2 * i + 1, x - 0.12 * s, z, lift=0.06)
        flat = {"elbows": (0.8, 0.8), "wrists": ((-0.1, 0.1), (-0.1, 0.1)), "bounce": 0.04}
        apart = SIDE if where is high else (0.55, -0.35, 0.40)
        d.hit(b + 2 * i, hands=(apart, apart), spine=(0, 0.1 * s, 0.1 * s), turn=0.1 * s, sway=0.8 * s, **flat)
        d.key(b + 2 * i, head=(0, 0, 0.1 * s))
        d.hit(b + 2 * i + 1, hands=(where, where), turn=0.2 * s, sway=0.3 * s, **flat)
        tilt = -0.1 if where is high else 0.1
        d.key(b + 2 * i + 1, spine=(tilt, -0.1 * s, 0), head=(1.5 * tilt, 0.15 * s, 0))


def lunge(d: Dance, b: float, place: Place, m: int = 1) -> None:
    """Wide stance, weight far over one leg, one arm sweeps a circle."""
    x, z = place
    lead, s = (0, -1) if m > 0 else (1, 1)
    d.step(lead, b, x + 0.44 * s, z + 0.06, 0.25 * s)
    d.step(1 - lead, b + 0.75, x - 0.22 * s, z)
    for i, spot in enumerate((LOW, SIDE, HIGH, UP, FACE, CROSS, CROSS_LOW, LOW)):
        f = s if i < 4 else -s
        d.hit(b + i, hands=_pair(m, spot, HIP), elbows=_pair(m, 0.6, 1.0), sway=1.2 * f, turn=0.2 * f, bounce=0.015)
        d.key(b + i, crouch=0.13 if i in (0, 1, 5, 6) else 0.06, spine=(0.05, 0.18 * f, -0.12 * f), lean=(0.04, 0))
        d.key(b + i, head=(-0.1 if 1 < i < 4 else 0.1, 0.22 * f, 0), wrists=((0.1, 0.3), (0.1, 0.3)))
    _stand(d, b + 7.2, (x + 0.1 * s, z), 0.14)


def kicks(d: Dance, b: float, place: Place, m: int = 1) -> None:
    """Low kicks across, with the opposite arm in front."""
    x, z = place
    for i in range(4):
        s = -m * (-1) ** i
        foot = 0 if s < 0 else 1
        home, now = x + 0.12 * s, b + 2 * i + 0.9
        d.step(foot, now, home - 0.30 * s, z + 0.42, 0.1 * s, 0.20, 0.85)
        d.step(foot, now + 0.15, home - 0.30 * s, z + 0.42, 0.1 * s, 0.02, 0.15)
        d.step(foot, now + 1.0, home, z, 0.0, 0.10, 0.85)
        d.hit(now, hands=_pair(-s, (0.55, -0.45, -0.35), (-0.18, -0.12, 0.80)), sway=-s, turn=-0.2 * s, crouch=0.04)
        d.key(now, spine=(-0.02, 0.3 * s, 0), lean=(-0.08, 0), head=(0, 0, 0.08 * s))
        d.hit(now + 1, hands=(READY, READY), spine=(0.08, 0, 0), sway=-0.2 * s, crouch=0.05)


def march(d: Dance, b: float, place: Place, m: int = 1) -> None:
    """Knees high, fists pumping."""
    x, z = place
    for i in range(8):
        s = -m * (-1) ** i
        d.step(0 if s < 0 else 1, b + i + 0.45, x + 0.11 * s, z, 0.0, 0.30, 0.85)
        d.hit(
            b + i,
            hands=_pair(-s, (0.20, -0.68, -0.10), (0.02, -0.02, 0.55)),
            sway=-0.5 * s,
            turn=-0.1 * s,
            bounce=0.015,
        )
        d.key(b + i, spine=(0.04, 0.15 * s, 0.05 * s), head=(0, 0, 0.05 * s), lean=(-0.02, 0), crouch=0.0)


def roll(d: Dance, b: float, place: Place, m: int = 1) -> None:
    """Forearms roll around each other, sinking and rising."""
    _stand(d, b, place, 0.20)
    for quarter in range(32):
        t = quarter / 4
        a = 2 * np.pi * t * m
        height = -0.15 - 0.21 * np.cos(np.pi * t / 2)
        circle = 0.12 * np.array([0, np.sin(a), np.cos(a)])
        middle = np.array([-0.27, height, 0.50])
        s = m if int(t) % 4 < 2 else -m
        crouch = 0.12 if int(t) % 4 == 1 else 0.03
        d.hit(b + t, hands=(middle + circle, middle - circle), elbows=(1.1, 1.1), wrists=((0.3, 0.2), (0.3, 0.2)))
        d.key(b + t, turn=0.30 * s, spine=(0.10, 0.12 * s, 0), sway=0.8 * s, crouch=crouch, head=(0.08, 0, 0.08 * s))


def vogue(d: Dance, b: float, place: Place, m: int = 1) -> None:
    """Poses: hands frame the face, one arm up, one across, over the head."""
    _stand(d, b, place, 0.15, -0.2 * m)
    plan = [
        (TEMPLE, HIP),
        (UP, FAR),
        (FACE, SIDE),
        (UP_IN, CROSS),
        (HIP, TEMPLE),
        (FAR, UP),
        (SIDE, FACE),
        (UP_IN, UP_IN),
    ]
    for i, pair in enumerate(plan):
        s = m if i < 4 else -m
        odd = i % 2
        wrists = ((0.2, 0.0), (0.2, 0.0)) if odd else ((-0.4, 0.6), (-0.4, 0.6))
        d.hit(b + i, hands=_pair(m, *pair), elbows=(0.8, 0.8), wrists=wrists, heels=_pair(s, 0.45, 0), bounce=0.012)
        d.key(b + i, turn=-0.45 * s if i % 4 < 2 else -0.15 * s, spine=(0.0, 0.12 * s, 0.10 * s), sway=s)
        d.key(
            b + i, head=(0.1, 0.35 * s, 0.12 * s) if odd else (-0.1, -0.1 * s, 0.12 * s), crouch=0.08 if odd else 0.02
        )


PHRASES = (
    groove, side_touch, overhead, cross_open, disco, turns, walk, bend, clap, lunge, kicks, march, roll, vogue
)  # fmt: skip


def choreograph(bpm: float, phrases: Sequence[tuple], place: Place = (0.0, 0.0)) -> Dance:
    """String phrases (function, m, beats) together after two beats of standing; beats < 8 cut a phrase short."""
    dance = Dance(bpm)
    dance.hit(0.0, bounce=0.02)
    spots = [np.array([place[0] + 0.13 * sign, place[1]]) for sign in (-1, 1)]
    for foot in (0, 1):
        dance.step(foot, -0.5, *spots[foot], lift=0.0, time=0.5)
    beat = 2.0
    for phrase, m, beats in phrases:
        part = Dance(bpm)
        phrase(part, beat, tuple((spots[0] + spots[1]) / 2), m)
        for name, keys in part.keys.items():
            dance.keys.setdefault(name, []).extend(k for k in keys if k[0] < beat + beats - 0.3)
        for foot in (0, 1):
            kept = [s for s in part.steps[foot] if s[1] < beat + beats]
            dance.steps[foot].extend(kept)
            if kept:
                spots[foot] = np.array(kept[-1][2:4])
        beat += beats
    dance.hit(beat + 0.5, bounce=0.02)
    _stand(dance, beat, tuple((spots[0] + spots[1]) / 2))
    return dance


def train_dance() -> Dance:
    """The training person's motion: some of every kind, so that a model sees all poses, near and far. 30 s."""
    order = [
        (groove, -1, 4), (overhead, 1, 4), (side_touch, -1, 4), (turns, 1, 8), (side_touch, -1, 2), (walk, 1, 6),
        (cross_open, 1, 4), (bend, -1, 4), (disco, 1, 4), (vogue, 1, 4), (roll, 1, 3), (walk, -1, 8), (disco, -1, 4),
        (kicks, 1, 4), (clap, 1, 4),
    ]  # fmt: skip
    return choreograph(140.0, order, (-0.50, -0.15))


def test_dance() -> Dance:
    """The dance to be transferred. 25 s."""
    order = [
        (groove, 1, 4), (clap, -1, 4), (side_touch, -1, 8), (disco, 1, 4), (walk, 1, 4), (cross_open, -1, 4),
        (turns, -1, 8), (walk, -1, 4), (kicks, 1, 4), (overhead, -1, 4),
    ]  # fmt: skip
    return choreograph(120.0, order, (-0.1, 0.0))


def random_dance(rng: np.random.Generator, seconds: float, bpm: float = 120.0) -> Dance:
    """Phrases in random order for a number of seconds; what leads away from the middle of the floor is led back."""
    dance_beats, order, depth = int(seconds * bpm / 60), [], 0
    while sum(beats for *_, beats in order) < dance_beats:
        phrase, m = PHRASES[rng.integers(len(PHRASES))], int(rng.choice([-1, 1]))
        if phrase is walk:
            m = -1 if depth > 0 else 1
            depth += m
        order.append((phrase, m, 4 if phrase is not side_touch else 8))
    return choreograph(bpm, order, (float(rng.normal(0, 0.15)), float(rng.normal(0, 0.1))))
