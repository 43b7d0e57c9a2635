"""References: the parts of a person, each copied from training frames in nearly the wanted pose and bent onto it, in
layers that the generator copies from.

The bones of a part in the pose and in a source frame give a map from one to the other (linear blend skinning, in the
picture). Every pixel of the source's matte belongs to one part, clothes included. Equal poses give the identity:
painting a frame from itself gives that frame.

Several sources are bent onto the pose. They vote on where the person is, pixel by pixel: a source has more weight the
more its pose is like the wanted one and the nearer its map is to a rotation. The colour comes from the source of most
weight. So what an arm hid in one frame comes from another, and what only one frame shows is left out. Along the bones
the person is painted whatever the vote says; where no source shows them, the colours around are taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from data.masked import disc
from main.appearance import (
    BODY,
    HEAD,
    LAYERS,
    LEFT_ARM,
    PARTS,
    RIGHT_ARM,
    SOURCES,
    Part,
    Texture,
    bone_distances,
    distances,
    has_part,
    is_hidden,
)

STEP = 8  # pixels between the points at which the map is computed; between them it is interpolated
SHARPNESS = 8  # power of the distance by which a bone loses its hold
SHRINK, GROW = 0.6, 1.6  # how far a bone may be shortened or stretched; beyond, its texture says nothing
# The numbers of the vote were set together, on twenty held-out frames of each of six static clips of the gallery,
# before any training, by the keypoints that another network finds again, outline and SSIM. No single one changes the
# mean by more than a point.
STRAIN = 0.1  # squared strain of a map that divides its weight by 1.6
UNLIKE = 0.03  # squared torso lengths of difference to the pose, beyond the best source's, that divide it by 2.7
DOUBT = 0.05  # weight of a vote for nobody, so that sources of little weight paint little
COVERED = 0.01  # weight of a source where an arm hides the body in it
DECISIVE = 2.5  # steepness of the vote where sources disagree; where they agree on a soft rim, it stays soft
CALM = 0.01  # torso lengths over which the vote is smoothed where sources disagree
LEAD = 1.5  # votes of the first source, so that there is never a tie of two
CORE = 0.7, 0.35  # girths from a bone within which the person is painted in any case, and over which that fades out
SURE = 0.9  # share of the votes for nobody that do not count there
LIMB = 3  # what a limb holds by a third or more is its own; so neighbouring sheets overlap
GAP = 0.2  # torso lengths: half the thickness of arms and of what is cut away with them
BLURRED = 10  # pixels that are enough for that where it is filled
SHOWN = {"body": BODY, "right arm": RIGHT_ARM, "left arm": LEFT_ARM}
# What cubic interpolation between pixels takes of the finest detail, a seventh, this 3x3 filter gives back on average.
RESTORE = np.float32(1 / 60) * np.array([[-1, -2, -1], [-2, 72, -2], [-1, -2, -1]], np.float32)


def paint_references(
    pose: np.ndarray, person: float, size: tuple[int, int], sources: np.ndarray, texture: Texture
) -> np.ndarray:
    """Move the parts of training frames onto a pose.

    Args:
        pose: (18, 3) pixels of the window to be painted.
        person: size of the person there, from :func:`main.appearance.person_sizes`.
        size: width and height of that window.
        sources: (len(SOURCES),) indices of frames of the texture, see :func:`main.appearance.choose_sources`.
        texture: what is copied.

    Returns:
        (LAYERS, 4, height, width) uint8: RGB and coverage of the body, with arms behind it, and of the other arms;
        nothing is painted for a part whose keypoints the pose lacks.
    """
    width, height = size
    layers = np.zeros((LAYERS, height, width, 4), np.uint8)
    behind = [part for part in PARTS if part.layer and is_hidden(pose[None], part).all()]
    for part in (*behind, *(part for part in PARTS if part not in behind)):
        chosen = [source for source, of in zip(sources.tolist(), SOURCES, strict=True) if of is part]
        paint_part(layers[0 if part in behind else part.layer], part, pose, person, texture, chosen)
    return np.stack([np.stack(cv2.split(layer)) for layer in layers])


def paint_part(
    layer: np.ndarray, part: Part, pose: np.ndarray, person: float, texture: Texture, sources: list[int]
) -> None:
    """Paint a part from these frames over what is there, (height, width, 4) uint8."""
    cuts = []
    whole = part.sources[0]
    unlike = distances(
        pose[None], np.array([person]), texture.poses[sources], texture.sizes[sources], whole.anchor, whole.weight
    )[0]
    for source, likely in zip(sources, np.exp((unlike.min() - unlike) / UNLIKE).tolist(), strict=True):
        if has_part(np.stack([pose, texture.poses[source]]), part).all():
            bones = place_bones(part, pose, person, texture.poses[source], float(texture.sizes[source]))
            picture, corner = cut_out(part, texture, source)
            box = _target_box(picture.shape, corner, bones, layer.shape[1::-1], person)
            if box is not None:
                cuts.append((bones, picture, corner, box, None if part.layer else texture.shows[source], likely))
    if not cuts:
        return
    boxes = np.array([cut[3] for cut in cuts])
    left, top, right, bottom = box = (*boxes[:, :2].min(0).tolist(), *boxes[:, 2:].max(0).tolist())
    shape = (bottom - top, right - left)
    votes, squares, seen, known, weights = (np.full(shape, value, np.float32) for value in (0, 0, 0, 0, DOUBT))
    colours = np.zeros((*shape, 4), np.uint8)
    for rank, (bones, picture, corner, _, shows, likely) in reversed(list(enumerate(cuts))):  # the first lies above all
        field, weight, limb_share = bend(bones, box, cv2.extractChannel(picture, 3), corner)
        if shows is not None:
            arms = cv2.remap(cv2.inRange(shows, RIGHT_ARM, LEFT_ARM), field, None, cv2.INTER_LINEAR)
            clear = 1 - arms * np.float32(1 / 255)
            seen = np.maximum(seen, clear)
            weight *= np.maximum(clear, COVERED)
        moved = cv2.remap(picture, field - np.float32(corner), None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
        moved = without_wall(cv2.filter2D(moved, -1, RESTORE))
        cover = moved[..., 3] * limb_share * np.float32(1 / 255)
        opacity = cover * np.clip(2 * weight, COVERED, 1)
        rest = known * (1 - opacity)
        colours, known = cv2.blendLinear(moved, colours, opacity, rest), opacity + rest
        weight *= LEAD * likely if rank == 0 else likely
        vote = weight * cover
        votes += vote
        squares += vote * cover
        weights += weight
    core = core_of(cuts[0][0], box) if part.layer == 0 else None
    if core is not None:
        weights = votes + (weights - votes) * (1 - SURE * core)
    cover = votes / weights
    disagreement = (squares / weights - cover * cover) / np.maximum(cover * (1 - cover), 1e-3)
    disagreement = np.clip(disagreement, 0, 1)
    cover += disagreement * (cv2.GaussianBlur(cover, (0, 0), max(CALM * person, 0.3)) - cover)
    cover = np.clip((cover - 0.5) * (1 + (DECISIVE - 1) * disagreement) + 0.5, 0, 1)
    if core is not None:
        fill_gaps(colours, cover, np.maximum(0, 1 - seen), core, person)
    below = layer[top:bottom, left:right]
    beneath = below[..., 3] * np.float32(1 / 255) * (1 - cover)
    below[:] = cv2.blendLinear(colours, below, cover, beneath)
    below[..., 3] = 255 * (cover + beneath) + 0.5


def core_of(bones: Bones, box: tuple[int, int, int, int]) -> np.ndarray:
    """The least that the person covers, (h, w) float32 in [0, 1]: 1 along the bones, whatever the sources show."""
    points, u, v = _grid(box)
    distance = bone_distances(points.reshape(-1, 1, 2), *bones.here.swapaxes(0, 1)) / bones.girth
    near = ((CORE[0] - distance) / CORE[1]).max(1).clip(-1, 1).astype(np.float32)
    return np.maximum(cv2.remap(near.reshape(points.shape[:2]), u, v, cv2.INTER_LINEAR), 0)


def fill_gaps(colours: np.ndarray, cover: np.ndarray, hidden: np.ndarray, core: np.ndarray, person: float) -> None:
    """Fill what arms hide in every source, where it is no wider than an arm, and what lies on bones, from around it.

    Args:
        colours: (h, w, 4) uint8 of a part, RGB first; changed in place.
        cover: (h, w) float32 in [0, 1]; changed in place.
        hidden: (h, w) in [0, 1], 1 where an arm lies before it in every source.
        core: (h, w) in [0, 1], the least that is covered.
        person: size of the person.
    """
    reach = max(3, round(GAP * person))
    x, y, width, height = cv2.boundingRect((((hidden > 0.5) & (cover < 0.5)) | (cover < core)).astype(np.uint8))
    if not width:
        return
    box = np.s_[max(y - 2 * reach, 0) : y + height + 2 * reach, max(x - 2 * reach, 0) : x + width + 2 * reach]
    # What is blurred so far needs few pixels; in all of a large person's it would take longer than all of the painting.
    size, step = cover[box].shape[::-1], max(1, reach // BLURRED)
    few = tuple(-(-side // step) for side in size)
    there = cv2.resize(cover[box], few, interpolation=cv2.INTER_AREA)
    solid = cover[box] ** 4  # a rim may hold colours of the wall
    worn = cv2.resize(colours[box] * solid[..., None], few, interpolation=cv2.INTER_AREA)
    solid = cv2.resize(solid, few, interpolation=cv2.INTER_AREA)
    reach = round(reach / step)
    closed = cv2.morphologyEx(np.rint(255 * there).astype(np.uint8), cv2.MORPH_CLOSE, disc(reach))
    near, weight = (cv2.GaussianBlur(maps, (0, 0), 0.7 * reach) for maps in (worn, solid))
    near = np.clip(near / np.maximum(weight, 1e-6)[..., None], 0, 255).astype(np.uint8)
    closed, near, weight = (cv2.resize(maps, size, interpolation=cv2.INTER_LINEAR) for maps in (closed, near, weight))
    # The ends of the shoulders are arms in every source; their own layer shows them.
    wanted = np.maximum(hidden[box] * np.float32(1 / 255) * closed, core[box] * (1 - hidden[box]))
    added = np.maximum(wanted - cover[box], 0) * np.minimum(50 * weight, 1)  # nothing, where no colour is near
    colours[box] = cv2.blendLinear(near, colours[box], added, cover[box])
    cover[box] += added


def cut_out(part: Part, texture: Texture, source: int) -> tuple[np.ndarray, tuple[int, int]]:
    """What a frame shows of a part, (h, w, 4) uint8 RGB and coverage, and where its corner lies (x, y). Parts overlap
    by a pixel, so that no seam opens between them."""
    mask = cv2.inRange(texture.shows[source], SHOWN[part.name], SHOWN[part.name])
    x, y, width, height = cv2.boundingRect(mask)
    x, y = max(x - 2, 0), max(y - 2, 0)
    box = np.s_[y : y + height + 4, x : x + width + 4]
    picture = texture.frames[source][box].copy()
    picture[..., 3] = cv2.bitwise_and(picture[..., 3].copy(), cv2.dilate(mask[box], np.ones((3, 3), np.uint8)))
    return picture, (x, y)


@dataclass(frozen=True)
class Bones:
    """Where B bones lie in the pose and in the source frame.

    Attributes:
        here, there: (B, 2, 2) both ends, pixels.
        girth: (B,) half the thickness of what surrounds them, pixels of the pose; in the source `girth * ratio`.
        matrix, offset: (B, 2, 2) and (B, 2): pixel of the source = matrix @ pixel of the pose + offset.
        limb: (B,) which limb of the part each belongs to; the last one carries the others.
        ratio: size of the person in the source frame, in sizes of the person here.
    """

    here: np.ndarray
    there: np.ndarray
    girth: np.ndarray
    matrix: np.ndarray
    offset: np.ndarray
    limb: np.ndarray
    ratio: float


def place_bones(part: Part, pose: np.ndarray, person: float, source: np.ndarray, source_person: float) -> Bones:
    """The bones of a part that both poses (18, 3) show, and the map of each: along the bone lengths change as the
    bone's does, across it as the person's size."""
    both = (pose[:, 2] > 0) & (source[:, 2] > 0)
    ratio = source_person / person
    rows = []
    for limb, (girth, first, *rest) in ((k, bone) for k, bones in enumerate(part.limbs) for bone in bones):
        ends = [j for j in rest if both[j]]
        head = tuple(rest) == HEAD
        if not both[first] or not ends or (len(ends) < len(rest) and not head):
            continue
        here = np.stack([pose[first, :2], pose[ends, :2].mean(0)]).astype(np.float64)
        there = np.stack([source[first, :2], source[ends, :2].mean(0)]).astype(np.float64)
        (along, length), (source_along, source_length) = _direction(here), _direction(there)
        stretch, anchor = float(np.clip(source_length / length, SHRINK * ratio, GROW * ratio)), 0
        if head:  # a head nods and turns, but does not stretch
            stretch, anchor = ratio, 1
        across, source_across = (np.array([-v[1], v[0]]) for v in (along, source_along))
        matrix = stretch * np.outer(source_along, along) + ratio * np.outer(source_across, across)
        rows.append((here, there, girth * person, matrix, there[anchor] - matrix @ here[anchor], limb))
    return Bones(*(np.array(column, np.float32) for column in zip(*rows, strict=True)), ratio)


def _direction(bone: np.ndarray) -> tuple[np.ndarray, float]:
    """Unit vector (2,) along a bone, and its length; down where it has none."""
    step = bone[1] - bone[0]
    length = float(np.hypot(*step))
    return (step / length, length) if length > 1e-6 else (np.array([0.0, 1.0]), 1e-6)


def hold(points: np.ndarray, bones: np.ndarray, girth: np.ndarray) -> np.ndarray:
    """How much each of the bones (B, 2, 2) holds points (n, 2): shares (n, B), by distance beyond their girth (B,)."""
    distance = bone_distances(points[:, None], *bones.swapaxes(0, 1))
    beyond = np.maximum(distance - girth, 0) + 0.2 * distance + 0.1 * girth
    weight = (beyond.min(1, keepdims=True) / beyond) ** SHARPNESS
    return weight / weight.sum(1, keepdims=True)


def _grid(box: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (a, b, 2) every `STEP` pixels of a box (left, top, right, bottom), and where in that grid each pixel of
    the box lies: x and y, both (h, w), for `cv2.remap`."""
    left, top, right, bottom = box
    columns, rows = (max(2, -(-side // STEP) + 1) for side in (right - left, bottom - top))
    x, y = np.meshgrid(left + STEP * np.arange(columns), top + STEP * np.arange(rows))
    u, v = np.meshgrid(
        np.arange(right - left, dtype=np.float32) / STEP, np.arange(bottom - top, dtype=np.float32) / STEP
    )
    return np.stack([x, y], -1).astype(np.float32), u, v


def bend(
    bones: Bones, box: tuple[int, int, int, int], matte: np.ndarray, corner: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the pixels of a box (left, top, right, bottom) come from.

    Every limb moves a sheet of its own, which ends where the source shows another limb. So legs that cross in the pose
    are both whole, one over the other, however they stand in the source. At each pixel the sheet that shows most of the
    person counts, of equal ones the first.

    Args:
        bones: of the part.
        box: in the pose.
        matte: (a, b) uint8, where the source shows the part.
        corner: x, y of the matte in the source.

    Returns:
        (h, w, 2) float32 x, y in the source; (h, w) float32 in (0, 1], the weight of the map: 1 where it only
        moves and turns, less where it pulls or folds; (h, w) float32 in [0, 1], how far what the source shows
        there belongs to the sheet's limb.
    """
    grid, u, v = _grid(box)
    rows, columns = grid.shape[:2]
    points = grid.reshape(-1, 2)
    each = np.einsum("bij,nj->nbi", bones.matrix, points) + bones.offset
    shares = hold(points, bones.here, bones.girth)
    limbs, grids = np.unique(bones.limb).tolist(), []
    for limb in limbs:
        own = bones.limb == limb
        weight = shares if limb == limbs[-1] else shares * (own | (bones.limb == limbs[-1]))
        weight = weight / weight.sum(1, keepdims=True)
        moved = np.einsum("nb,nbi->ni", weight, each)
        there = hold(moved, bones.there, bones.girth * bones.ratio)
        # A folded arm must not show its sleeve beside the forearm, so the same bones must hold a point here and there.
        limb_share = LIMB * np.minimum(there[:, own].sum(1), np.minimum(weight, there).sum(1))
        moved, limb_share = moved.reshape(rows, columns, 2), limb_share.reshape(rows, columns)
        grids.append(np.dstack([moved, _weight(moved, bones.ratio), limb_share]).astype(np.float32))
    if len(grids) > 1:  # one below the other
        v += rows * _shown_most(grids, u, v, matte, corner)
    full = cv2.remap(np.vstack(grids), u, v, cv2.INTER_LINEAR)
    return np.ascontiguousarray(full[..., :2]), cv2.extractChannel(full, 2), cv2.min(cv2.extractChannel(full, 3), 1)


def _shown_most(
    grids: list[np.ndarray], u: np.ndarray, v: np.ndarray, matte: np.ndarray, corner: tuple[int, int]
) -> np.ndarray:
    """Which of the sheets shows most of the person at each pixel (h, w), the last one where none does. The rest as in
    :func:`bend`."""
    most, which = (np.full(u.shape, value, np.float32) for value in (1e-3, len(grids) - 1))
    for k, grid in enumerate(grids):
        field = cv2.remap(grid[..., :2] - np.float32(corner), u, v, cv2.INTER_LINEAR)
        limb_share = cv2.min(cv2.remap(grid[..., 3], u, v, cv2.INTER_LINEAR), 1)
        shown = cv2.multiply(cv2.remap(matte, field, None, cv2.INTER_LINEAR), limb_share, dtype=cv2.CV_32F)
        more = cv2.compare(shown, most, cv2.CMP_GT)
        cv2.copyTo(shown, more, most)
        which[more > 0] = k
    return which


def _weight(moved: np.ndarray, ratio: float) -> np.ndarray:
    """(a, b) in (0, 1] how near a map's derivative is to a rotation; the map (a, b, 2) has values every STEP pixels."""
    down, along = np.gradient(moved, STEP * ratio, axis=(0, 1))
    # Squared distance from the nearest rotation.
    turn = np.hypot(along[..., 0] + down[..., 1], along[..., 1] - down[..., 0])
    strain = (along**2 + down**2).sum(-1) + 2 - 2 * turn
    return np.exp(-strain / (2 * STRAIN))


def _target_box(
    shape: tuple[int, ...], corner: tuple[int, int], bones: Bones, size: tuple[int, int], person: float
) -> tuple[int, int, int, int] | None:
    """Left, top, right and bottom of the part of a window of this (width, height) in which a cut-out of this shape may
    come to lie."""
    low, high = bones.there.min((0, 1)), bones.there.max((0, 1))
    end = np.add(corner, shape[1::-1])
    reach = max(0.0, *(low - corner), *(end - high)) / bones.ratio + 0.1 * person  # of the cut-out from the bones
    low = np.maximum(np.floor(bones.here.min((0, 1)) - reach), 0).astype(int)
    high = np.minimum(np.ceil(bones.here.max((0, 1)) + reach), size).astype(int)
    return None if (high <= low).any() else (int(low[0]), int(low[1]), int(high[0]), int(high[1]))


def without_wall(picture: np.ndarray) -> np.ndarray:
    """Give the rim of a cut-out (H, W, 4) uint8, RGB and matte, the colour of the person beside it, in place.

    The rim are pixels that the person covers only in part, so that they show the wall too. Where the person covers half
    of one or less, its own colour no longer counts.
    """
    matte = cv2.extractChannel(picture, 3)
    inside = cv2.bitwise_and(picture, picture, mask=cv2.inRange(matte, 250, 255))
    near = cv2.GaussianBlur(inside.astype(np.float32), (5, 5), 1.0).reshape(-1, 4)
    pixels = picture.reshape(-1, 4)
    rim = np.flatnonzero(cv2.inRange(matte, 1, 249))
    rim = rim[near[rim, 3] > 1]
    own, near = pixels[rim].astype(np.float32), near[rim]
    share = np.minimum(2 - own[:, 3:] * np.float32(2 / 255), 1)
    near = np.minimum(near * (255 / near[:, 3:]), 255)
    near[:, 3] = own[:, 3]
    pixels[rim] = own + share * (near - own) + 0.5
    return picture
