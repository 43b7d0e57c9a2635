"""Looks: skin, hair, face, clothes and shoes of a figure, and random ones of great variety."""

from dataclasses import dataclass

import numpy as np

from data.sample.pose import Body

HAIR = ("bald", "short", "crop", "fringe", "bob", "long", "ponytail", "bun", "curly", "cap", "open")
HATS = ("none", "beanie", "cap", "brim", "hood")
PATTERNS = ("plain", "stripes", "pinstripes", "checks", "plaid", "dots", "logo", "block", "zigzag", "speckle")
MORE_PATTERNS = (*PATTERNS[1:], "flowers", "gradient", "blotches", "border")


@dataclass(frozen=True)
class Cloth:
    """Colours are sRGB in [0, 1]; scale is the period of the pattern in metres."""

    colour: tuple[float, float, float] = (0.5, 0.5, 0.5)
    second: tuple[float, float, float] = (0.9, 0.9, 0.9)
    pattern: str = "plain"
    scale: float = 0.06


@dataclass(frozen=True)
class Hanging:
    """A sheet of cloth or hair that hangs from the body; see `cloth.Sheet`.

    kind: skirt, hair, trousers or sleeves. start: where it is fastened: height above the hips in units of hip to
    shoulder (skirt), or share of the limb. length: metres (skirt, hair), or share of the limb. loose: metres to what is
    under it. flare: metres by which the hem is farther out. fullness: share of cloth more than that, which lies in
    folds. gap: angle left open, radians; turn: where, from the front. stiff: see `cloth.Sheet`.
    """

    kind: str
    part: str = "bottom"
    start: float = 0.3
    length: float = 0.6
    loose: float = 0.014
    flare: float = 0.1
    fullness: float = 0.0
    gap: float = 0.0
    turn: float = 0.0
    stiff: float = 0.85


@dataclass(frozen=True)
class Look:
    """Everything about a figure that is not its proportions."""

    skin: tuple[float, float, float] = (0.80, 0.58, 0.46)
    hair_style: str = "short"
    hair: tuple[float, float, float] = (0.15, 0.10, 0.07)
    eyes: tuple[float, float, float] = (0.25, 0.35, 0.45)
    lips: tuple[float, float, float] = (0.66, 0.32, 0.30)
    beard: float = 0.0
    sleeves: float = 0.45  # 0 = none, 0.5 = elbow, 1 = wrist
    top: Cloth = Cloth()
    top_loose: float = 0.014  # metres between skin and cloth
    top_hem: float = 0.0  # metres above the hip joints
    bottom: Cloth = Cloth((0.15, 0.2, 0.35))
    legs: float = 1.0  # 0.3 = shorts, 0.5 = knee, 1 = ankle
    bottom_loose: float = 0.012
    flare: float = 0.0  # extra width at the end of the trouser legs, metres
    skirt: float = 0.0  # length from the waist in metres; 0 = trousers
    dress: bool = False  # the skirt is of the cloth of the top
    shoe: tuple[float, float, float] = (0.92, 0.92, 0.92)
    sole: tuple[float, float, float] = (0.95, 0.95, 0.93)
    glasses: bool = False
    nose: float = 1.0  # factor on the width of the nose
    hanging: tuple[Hanging, ...] = ()
    folds: float = 0.0  # metres by which the folds of the top are deeper
    sleeve_flare: float = 0.0  # extra width at the end of the sleeves, metres
    front: Cloth | None = None  # what an open coat shows on the chest
    front_width: float = 0.05  # half of it, metres
    hat: str = "none"
    hat_cloth: Cloth = Cloth()
    boots: float = 0.0  # how far up the shin, 1 = to the knee
    barefoot: bool = False


# sRGB
SKINS = (
    (0.94, 0.78, 0.69),
    (0.90, 0.72, 0.60),
    (0.84, 0.64, 0.51),
    (0.74, 0.53, 0.40),
    (0.60, 0.41, 0.29),
    (0.44, 0.29, 0.21),
    (0.31, 0.20, 0.15),
)
HAIRS = (
    (0.07, 0.06, 0.06),
    (0.16, 0.10, 0.07),
    (0.30, 0.18, 0.10),
    (0.45, 0.28, 0.14),
    (0.72, 0.55, 0.30),
    (0.55, 0.20, 0.10),
    (0.55, 0.55, 0.56),
    (0.75, 0.25, 0.45),
)


def random_cloth(rng: np.random.Generator, plain: float = 0.4) -> Cloth:
    """A cloth of random colours; `plain` is the probability of no pattern."""

    def colour() -> tuple[float, float, float]:
        if rng.random() < 0.3:
            return tuple(np.clip(rng.uniform(0.04, 0.95) + rng.normal(0, 0.02, 3), 0.02, 0.98))
        hue, strength, value = rng.random(), rng.uniform(0.2, 0.95), rng.uniform(0.2, 0.98)
        wheel = np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
        return tuple(value * (1 - strength * (1 - wheel)))

    pattern = "plain" if rng.random() < plain else str(rng.choice(PATTERNS[1:]))
    return Cloth(colour(), colour(), pattern, float(np.exp(rng.uniform(np.log(0.02), np.log(0.12)))))


def random_body(rng: np.random.Generator) -> Body:
    """Proportions of a random adult or, rarely, a child."""
    woman = rng.random() < 0.5
    height = float(np.clip(rng.normal(1.67 if woman else 1.78, 0.08), 1.45, 2.02))
    girth = float(np.clip(rng.normal(1.02, 0.11), 0.8, 1.4))
    return Body(
        height=height,
        shoulders=float(rng.normal(0.098 if woman else 0.108, 0.004)),
        hips=float(rng.normal(0.053 if woman else 0.051, 0.003)),
        legs=float(rng.normal(0.527, 0.012)),
        arms=float(rng.normal(1.0, 0.04)),
        head=float(np.clip(rng.normal(1.03, 0.05) * (height / 1.75) ** 0.5, 0.88, 1.2)),
        girth=girth,
        muscle=float(rng.normal(0.94 if woman else 1.0, 0.06)),
        waist=float(rng.normal(0.92 if woman else 1.03, 0.06)),
        hip_girth=float(rng.normal(1.06 if woman else 0.97, 0.04)),
        belly=max(0.0, float(rng.normal(0.06 * (girth - 1) * 4, 0.012))),
        bust=float(rng.uniform(0.025, 0.055)) if woman else 0.0,
    )


def random_look(rng: np.random.Generator, body: Body) -> Look:
    """Random skin, hair and clothes."""
    woman = body.bust > 0
    top, bottom = random_cloth(rng), random_cloth(rng, 0.7)
    skirt = woman and rng.random() < 0.4
    long_hair = rng.random() < (0.75 if woman else 0.1)
    style = (
        rng.choice(("fringe", "bob", "long", "ponytail", "bun", "curly"))
        if long_hair
        else rng.choice(("short", "crop", "fringe", "curly", "cap", "short", "bald"))
    )
    legs = float(rng.choice([0.3, 0.45, 0.55, 0.85, 1.0, 1.0, 1.0, 1.0]))
    skin = np.array(SKINS[rng.integers(len(SKINS))]) * rng.uniform(0.93, 1.05)
    return Look(
        skin=tuple(np.clip(skin, 0, 1)),
        hair_style=str(style),
        hair=tuple(np.clip(np.array(HAIRS[rng.integers(len(HAIRS))]) * rng.uniform(0.8, 1.2), 0.01, 1)),
        eyes=tuple(rng.uniform(0.1, 0.5, 3)),
        lips=tuple(np.clip(skin * [0.86, 0.55, 0.58] * (rng.uniform(0.7, 1.0) if woman else 1.0), 0, 1)),
        beard=float(rng.uniform(0.3, 0.9)) if not woman and rng.random() < 0.35 else 0.0,
        sleeves=float(rng.choice([0.0, 0.25, 0.35, 0.45, 0.5, 0.8, 1.0, 1.0])),
        top=top,
        top_loose=float(rng.uniform(0.008, 0.03)),
        top_hem=float(rng.uniform(-0.08, 0.06)),
        bottom=bottom,
        legs=legs,
        bottom_loose=float(rng.uniform(0.006, 0.02)),
        flare=float(rng.uniform(0.06, 0.25)) if skirt else float(max(0.0, rng.normal(0.0, 0.02))),
        skirt=float(rng.uniform(0.42, 0.85)) if skirt else 0.0,
        dress=bool(skirt and rng.random() < 0.5),
        shoe=random_cloth(rng).colour,
        sole=(0.93, 0.93, 0.9) if rng.random() < 0.6 else (0.1, 0.1, 0.1),
        glasses=bool(rng.random() < 0.15),
        nose=float(rng.uniform(0.75, 1.15)),
    )
