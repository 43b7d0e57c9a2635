"""Looks: skin, hair, face, clothes and shoes of a figure, and random ones of great variety."""

from dataclasses import dataclass, replace

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
    neckline: float = 0.0  # depth in front, metres below the neck
    strapless: bool = False  # shoulders painted as skin


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


def _any_colour(rng: np.random.Generator, skin: tuple[float, float, float]) -> tuple[float, float, float]:
    """A colour of cloth: mostly any, often black, white or the pale colour of a wall, now and then that of the skin."""
    kind = rng.random()
    if kind < 0.12:
        return tuple(np.clip(np.array(skin) * rng.uniform(0.8, 1.2) * rng.uniform(0.96, 1.04, 3), 0.01, 1))
    if kind < 0.27:  # beige, grey, cream
        return tuple(np.clip(rng.uniform(0.45, 0.92) * (1 + rng.normal(0, 1) * np.array([0.06, 0.02, -0.07])), 0, 1))
    if kind < 0.39:
        return tuple(rng.uniform(0.01, 0.12) * rng.uniform(0.8, 1.2, 3))
    if kind < 0.47:
        return tuple(rng.uniform(0.86, 0.99, 3))
    return random_cloth(rng).colour


def any_cloth(rng: np.random.Generator, skin: tuple[float, float, float], plain: float = 0.5) -> Cloth:
    """As `random_cloth`, with more patterns, and with colours much like skin or walls."""
    colour = _any_colour(rng, skin)
    second = _any_colour(rng, skin)
    if rng.random() < 0.3:  # a pattern that hardly shows
        second = tuple(np.clip(np.array(colour) * rng.uniform(0.7, 1.35), 0.01, 1))
    pattern = "plain" if rng.random() < plain else str(rng.choice(MORE_PATTERNS))
    return Cloth(colour, second, pattern, float(np.exp(rng.uniform(np.log(0.015), np.log(0.12)))))


def random_wardrobe(rng: np.random.Generator, body: Body) -> Look:
    """As `random_look`, from a larger wardrobe: skirts, dresses, coats, wide trousers and sleeves, jumpers, bare limbs,
    long open hair, hats."""
    look = random_look(rng, body)
    woman = body.bust > 0
    uniform, chance = rng.uniform, lambda share: rng.random() < share
    hanging: list[Hanging] = []
    changes = colours(rng, look.skin) | {"skirt": 0.0, "dress": False, "flare": 0.0}

    def skirt(part: str, length: float, wide: bool, start: float, **more) -> Hanging:
        flare = uniform(0.16, 0.55) * length if wide else uniform(0.0, 0.10) * length
        settings = {"fullness": uniform(0, 0.2) if wide else 0.0, "stiff": uniform(0.7, 0.92)} | more
        return Hanging("skirt", part, start=start, length=length, flare=flare, **settings)

    lengths = {"short": (0.33, 0.48), "knee": (0.52, 0.66), "calf": (0.70, 0.88), "long": (0.90, 1.02)}
    below = str(rng.choice(
        ("trousers", "shorts", "wide trousers", "skirt", "dress"), p=(0.24, 0.12, 0.18, 0.22, 0.24),
    ))  # fmt: skip
    tall = body.height / 1.75
    changes["top_hem"] = uniform(-0.10, 0.06)
    changes["bottom_loose"] = uniform(0.006, 0.03)
    if below == "shorts":
        changes |= {"legs": uniform(0.24, 0.55), "bottom_loose": uniform(0.012, 0.035)}
    elif below == "trousers":
        changes |= {"legs": rng.choice([0.8, 0.9, 1.0, 1.0]), "flare": uniform(0, 0.03)}
    elif below == "wide trousers":
        start = uniform(0.10, 0.22)
        hem = rng.choice([0.55, 0.75, 0.9, 0.97, 0.99])
        hanging.append(Hanging(
            "trousers", start=start, length=hem - start, loose=uniform(0.008, 0.03), flare=uniform(0.02, 0.13),
            fullness=uniform(0, 0.15), stiff=uniform(0.75, 0.92),
        ))  # fmt: skip
        changes |= {"legs": start + 0.08, "bottom_loose": 0.016}
    else:
        length = tall * uniform(*lengths[str(rng.choice(tuple(lengths), p=(0.15, 0.25, 0.25, 0.35)))])
        slit = {"gap": uniform(0.05, 0.25), "turn": uniform(0, 2 * np.pi)} if chance(0.15) else {}
        tights = chance(0.2)
        changes |= {"legs": 0.98 if tights else 0.24, "bottom_loose": 0.004 if tights else 0.008}
        if below == "dress":
            start = uniform(0.22, 0.52)
            changes |= {"top_loose": uniform(0.006, 0.018), "top_hem": 0.06}
            length += 0.5 * (start - 0.3)
            hanging.append(skirt("top", length, chance(0.65), start, loose=0.012, **slit))
        else:
            changes["top_hem"] = uniform(0.03, 0.07) if chance(0.6) else uniform(-0.12, 0.0)
            tucked = changes["top_hem"] > 0
            changes["top_loose"] = uniform(0.006, 0.02) if tucked else uniform(0.025, 0.04)
            loose = 0.014 if tucked else 0.014 - changes["top_loose"]
            hanging.append(skirt("bottom", length, chance(0.6), uniform(0.2, 0.32), loose=loose, **slit))

    above = str(rng.choice(("shirt", "sleeveless", "jumper", "wide sleeves", "coat"), p=(0.3, 0.2, 0.16, 0.14, 0.2)))
    short = below in ("skirt", "dress")
    if above == "sleeveless":
        changes["sleeves"] = 0.0
        if not short and chance(0.4):
            changes |= {"top_hem": uniform(0.09, 0.2), "top_loose": uniform(0.005, 0.012)}
    elif above == "jumper":
        changes |= {"sleeves": uniform(0.8, 1.0), "folds": uniform(0.0, 0.006), "sleeve_flare": uniform(0, 0.015)}
        if not short:
            changes |= {"top_loose": uniform(0.03, 0.06), "top_hem": uniform(-0.16, 0.0)}
    elif above == "wide sleeves":
        changes["sleeves"] = 0.3
        start = uniform(0.12, 0.22)
        hanging.append(Hanging(
            "sleeves", "top", start=start, length=uniform(0.45, 0.97) - start, loose=uniform(0.006, 0.02),
            flare=uniform(0.02, 0.13), fullness=uniform(0, 0.15),
        ))  # fmt: skip
    elif above == "coat":
        loose = uniform(0.018, 0.035)
        closed = chance(0.35)
        changes |= {
            "sleeves": uniform(0.85, 1.0),
            "top_loose": loose,
            "top_hem": 0.03,
            "sleeve_flare": uniform(0, 0.02),
        }
        if below == "dress":  # its skirt is of other cloth than the coat
            hanging = [replace(h, part="bottom", loose=h.loose - loose) for h in hanging]
        elif below == "skirt":
            hanging = [replace(h, loose=0.004 - loose) for h in hanging]
        if not closed:
            changes["front_width"] = uniform(0.03, 0.09)
            changes["front"] = any_cloth(rng, look.skin)
        gap = 0.0 if closed else uniform(0.3, 1.5)
        length = tall * uniform(*((0.35, 0.6) if chance(0.35) else (0.6, 0.98)))
        hanging.append(skirt("top", length, chance(0.3), uniform(0.25, 0.4), loose=0.008, gap=gap))

    if above != "coat" and chance(0.4):
        changes["neckline"] = uniform(0.03, 0.2)
    changes["strapless"] = above == "sleeveless" and chance(0.3)

    bare = changes.get("legs", look.legs) < 0.6 and below != "wide trousers"
    if bare and chance(0.35):
        changes["boots"] = uniform(0.3, 0.85)
    changes["barefoot"] = chance(0.18) and not changes.get("boots")
    if chance(0.55 if woman else 0.12):
        length = rng.choice([0.26, 0.36, 0.45, 0.62]) + uniform(-0.03, 0.05)
        changes["hair_style"] = "open"
        hanging.append(Hanging("hair", "hair", length=length, flare=uniform(0, 1), gap=uniform(2.1, 3.3)))
    elif chance(0.2):
        changes["hair_style"] = "crop" if not woman else "ponytail"
    if chance(0.22):
        changes["hat"] = str(rng.choice(HATS[1:]))
        if changes.get("hair_style", look.hair_style) in ("curly", "bun", "short", "fringe", "cap"):
            changes["hair_style"] = "crop"
        if changes["hat"] == "hood":
            changes["hat_cloth"] = changes["top"]
            hanging = [h for h in hanging if h.kind != "hair"]
            if changes.get("hair_style", look.hair_style) in ("open", "long", "ponytail", "bob"):
                changes["hair_style"] = "crop"
    return replace(look, hanging=tuple(hanging), **changes)


def colours(rng: np.random.Generator, skin: tuple[float, float, float]) -> dict[str, Cloth | tuple]:
    """Random cloths of a look by the names of its fields."""
    return {
        "top": any_cloth(rng, skin),
        "bottom": any_cloth(rng, skin, 0.65),
        "hat_cloth": any_cloth(rng, skin, 0.7),
        "shoe": _any_colour(rng, skin),
    }
