"""References: the parts of a body, each copied from the training frame that shows it most alike and moved onto a pose
by an affine map, in layers that the generator copies from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from data.skeleton import to_fixed
from main.appearance import (
    ARMS,
    BINS,
    HAND,
    HEAD,
    LAYERS,
    PARTS,
    TRUNK,
    Part,
    Texture,
    has_part,
    is_forearm,
    mean_position,
)

LEGS = ((8, 9), (11, 12), (9, 10), (12, 13))  # bones of thighs and shins, right and left in turn, as those of ARMS
FACE = 0.25  # radius of a face, in torso lengths
# What cubic interpolation between pixels takes of the finest detail, a seventh, this 3x3 filter gives back on average.
RESTORE = np.float32(1 / 60) * np.array([[-1, -2, -1], [-2, 72, -2], [-1, -2, -1]], np.float32)

Line = tuple[tuple[int, int], tuple[int, int]]  # two points, from to_fixed


def paint_references(
    pose: np.ndarray, person: float, size: tuple[int, int], sources: np.ndarray, texture: Texture
) -> np.ndarray:
    """Move the parts of training frames onto a pose.

    Args:
        pose: (18, 3) pixels of the window to be painted.
        person: size of the person there, from :func:`main.appearance.person_sizes`.
        size: width and height of that window.
        sources: (len(PARTS),) index of the frame of the texture for each part.
        texture: what is copied.

    Returns:
        (LAYERS, 4, height, width) uint8: RGB and coverage of the body and of the arms; nothing is painted for
        a part whose keypoints the pose lacks.
    """
    width, height = size
    layers = np.zeros((LAYERS, height, width, 4), np.uint8)
    for part, source in zip(PARTS, sources, strict=True):
        _paint_part(layers[part.layer], part, pose, person, texture, source)
    return np.stack([np.stack(cv2.split(layer)) for layer in layers])


@dataclass(frozen=True)
class Placement:
    """Where a part of a source frame comes to lie: in a box with round ends along its bone, soft at its rim.

    Attributes:
        matrix, offset: (2, 2) and (2,), source pixel = matrix @ target pixel + offset.
        inverse: of the matrix.
        corner, size: x and y, width and height of the rectangle round the box, pixels of the target.
        start, along: (2,) where the bone begins in the target, and its direction.
        length: of the bone.
        first, last: how far along the bone the middles of the box's round ends lie.
        reach: half the width of the box.
    """

    matrix: np.ndarray
    offset: np.ndarray
    inverse: np.ndarray
    corner: tuple[int, int]
    size: tuple[int, int]
    start: np.ndarray
    along: np.ndarray
    length: float
    first: float
    last: float
    reach: float

    def here(self, points: np.ndarray) -> np.ndarray:
        """Pixels (n, 2) of the source frame in pixels of the rectangle."""
        return (points - self.offset) @ self.inverse.T - self.corner

    def coordinates(self) -> tuple[np.ndarray, np.ndarray]:
        """How far along the bone, and how far to its right, the pixels (h, w) of the rectangle lie."""
        dx = np.arange(self.size[0], dtype=np.float32) + np.float32(self.corner[0] - self.start[0])
        dy = (np.arange(self.size[1], dtype=np.float32) + np.float32(self.corner[1] - self.start[1]))[:, None]
        x, y = self.along.astype(np.float32)
        return dx * x + dy * y, dy * x - dx * y


def _place(
    part: Part, pose: np.ndarray, person: float, source: np.ndarray, source_size: float, window: tuple[int, int]
) -> Placement | None:
    """Placement of a part in a window of this width and height; None outside of it, or if a pose lacks the part."""
    poses = np.stack([pose, source])
    if not has_part(poses, part).all():
        return None
    ratio = person / source_size
    end_joints = part.end
    if part.end == HEAD:  # the middle of the same points: an ear that only one of the two shows would move it
        end_joints = tuple(j for j in HEAD if pose[j, 2] > 0 and source[j, 2] > 0) or HEAD
    (start, source_start), (end, source_end) = mean_position(poses, part.start), mean_position(poses, end_joints)
    bone, source_bone = end - start, source_end - source_start
    length, source_length = max(float(np.hypot(*bone)), 1e-3), max(float(np.hypot(*source_bone)), 1e-3)
    along, source_along = bone / length, source_bone / source_length
    across, source_across = (np.array([-v[1], v[0]]) for v in (along, source_along))
    if part.end == HEAD:  # a head nods and turns, but does not stretch
        stretch, anchor, source_anchor = 1 / ratio, end, source_end
    else:
        stretch = min(max(source_length / length, 0.6 / ratio), 1.6 / ratio)
        anchor, source_anchor = start, source_start
    # Source pixel of a target pixel: along the bone by the bones' lengths, across it by the size of the person.
    matrix = stretch * np.outer(source_along, along) + np.outer(source_across, across) / ratio
    inverse = np.outer(along, source_along) / stretch + np.outer(across, source_across) * ratio

    reach = part.width * person
    inner = 0.6 * reach
    first, last = inner - part.before * person, length + part.after * person - inner
    tail, tip = start + along * first, start + along * last
    low = np.maximum(np.floor(np.minimum(tip, tail) - reach), 0).astype(int)
    high = np.minimum(np.ceil(np.maximum(tip, tail) + reach) + 1, window).astype(int)
    if (high <= low).any():
        return None
    corner, size = tuple(low.tolist()), tuple((high - low).tolist())
    offset = source_anchor - matrix @ anchor
    return Placement(matrix, offset, inverse, corner, size, start, along, length, first, last, reach)


def _paint_part(layer: np.ndarray, part: Part, pose: np.ndarray, person: float, texture: Texture, source: int) -> None:
    """Paint one part over what is there, (height, width, 4) uint8."""
    source_pose = texture.poses[source]
    place = _place(part, pose, person, source_pose, float(texture.sizes[source]), layer.shape[1::-1])
    if place is None:
        return
    inverse = np.column_stack([place.matrix, place.matrix @ place.corner + place.offset])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(texture.frames[source], inverse, place.size, flags=flags, borderMode=cv2.BORDER_CONSTANT)
    moved = _without_wall(cv2.filter2D(moved, -1, RESTORE))  # (h, w, 4)

    (x, y), (width, height) = place.corner, place.size
    below = layer[y : y + height, x : x + width]
    beneath = below[..., 3] * np.float32(1 / 255)
    u, v = place.coordinates()
    beyond = np.maximum(np.maximum(place.first - u, u - place.last), 0)
    opacity = np.clip((place.reach - cv2.magnitude(beyond, v)) * (1 / (0.3 * place.reach)), 0, 1)
    opacity *= moved[..., 3] * np.float32(1 / 255)

    joints = place.here(source_pose[:, :2])
    ends = joints[np.array(ARMS + LEGS)]  # (8, 2, 2)
    ends[2:4, 1] += HAND * (ends[2:4, 1] - ends[2:4, 0])
    points = to_fixed(ends.reshape(16, 2), opacity.shape)
    shown = (source_pose[ARMS + LEGS, 2] > 0).all(1)
    arms, legs = (
        {k: (points[2 * (k + i)], points[2 * (k + i) + 1]) for k in range(4) if shown[k + i]} for i in (0, len(ARMS))
    )
    if part.layer == 1:
        opacity *= _alike(moved, texture.arms[int(is_forearm(part))])
        own = ARMS.index((*part.start, *part.end))
        opacity *= _nearest(opacity.shape, arms, own, 0.1 * person)
        seen = [j for j in HEAD if source_pose[j, 2] > 0]
        if seen:
            opacity *= _beside_face(opacity.shape, joints[seen].mean(0), place, person)
        opacity *= _touching(opacity > 0.2, _line(opacity.shape, arms[own], 0.1 * person))
    else:
        own = next((k for k in legs if part.start + part.end == LEGS[k]), None)
        if own is not None:  # what the other leg does in the source, it need not do here
            others = {k: line for k, line in legs.items() if k == own or (k - own) % 2}
            opacity *= _nearest(opacity.shape, others, own, 0.1 * person)
        if part.end == TRUNK:  # thighs go with the legs, sleeves with the arms
            thighs = {k: line for k, line in legs.items() if k < 2}
            thighs[-1] = tuple(
                to_fixed(
                    np.stack([place.start, place.start + place.length * place.along]) - place.corner, opacity.shape
                )
            )
            low = np.clip((u - place.length) * (1 / (0.1 * person)) + 2, 0, 1)
            opacity *= 1 - low * (1 - _nearest(opacity.shape, thighs, -1, 0.15 * person))
            drawn = (pose[ARMS[:2], 2] > 0).all(1)
            for k in [k for k in arms if k < 2 and drawn[k]]:
                shoulder = ends[k, 0] + place.corner - place.start
                side = float(shoulder[1] * place.along[0] - shoulder[0] * place.along[1])
                chest = max(abs(side), 0.3 * person)  # seen from the side, shoulders lie before it
                outside = np.clip((math.copysign(1, side) * v - chest) * (1 / (0.08 * person)) + 1, 0, 1)
                sleeve = 255 * _line(opacity.shape, arms[k], 0.5 * person)
                opacity *= 1 - outside * cv2.GaussianBlur(sleeve, (0, 0), max(0.5, 0.03 * person)) * np.float32(1 / 255)
        if beneath.any():  # an arm that lies before the body is no part of it, if anything is known of what it hides
            alike: dict[int, np.ndarray] = {}
            for k, line in arms.items():
                near = _line(opacity.shape, line, 0.36 * person)
                if near.any():
                    if k // 2 not in alike:
                        alike[k // 2] = _alike(moved, texture.arms[k // 2]) * beneath
                    opacity *= 1 - alike[k // 2] * near
    beneath *= 1 - opacity
    mixed = cv2.blendLinear(moved, below, opacity, beneath)
    mixed[..., 3] = 255 * (opacity + beneath) + 0.5
    below[:] = mixed


def _without_wall(picture: np.ndarray) -> np.ndarray:
    """RGB and matte (H, W, 4) uint8 in which the rim, pixels that the person covers in part and that so show the wall
    too, takes the colour of the person beside it: wholly where the person covers half of a pixel or less. In place."""
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


def _beside_face(shape: tuple[int, int], middle: np.ndarray, place: Placement, person: float) -> np.ndarray:
    """1 for the pixels (h, w) beside the source's face, whose middle is given in pixels of the box, else 0: it has an
    arm's colours. But a hand may lie before it, on the bone and beyond."""
    face = np.ones(shape, np.uint8)
    tip = place.start + (place.last + 0.3 * place.reach) * place.along
    centre, *axis = to_fixed(np.stack([middle, place.start - place.corner, tip - place.corner]), shape)
    cv2.circle(face, centre, round(16 * FACE * person), 0, -1, cv2.LINE_8, 4)
    cv2.line(face, *axis, 1, max(1, round(0.1 * person)), cv2.LINE_8, 4)
    return face


def _line(shape: tuple[int, int], line: Line, thickness: float) -> np.ndarray:
    """A line as ones in a picture (H, W) uint8."""
    drawn = np.zeros(shape, np.uint8)
    cv2.line(drawn, *line, 1, max(1, round(thickness)), cv2.LINE_8, 4)
    return drawn


def _nearest(shape: tuple[int, int], lines: dict[int, Line], own: int, slack: float) -> np.ndarray:
    """1 for the pixels (H, W) to which no line is nearer than the own one, falling to 0 where one is nearer by
    ``slack`` pixels: a hand before an upper arm is no part of that."""

    def distance(line: np.ndarray) -> np.ndarray:
        return cv2.distanceTransform(1 - line, cv2.DIST_L2, cv2.DIST_MASK_3)

    kept, drawn = np.ones(shape, np.float32), {k: _line(shape, line, 1) for k, line in lines.items()}
    if drawn[own].any():  # else beyond the window's edge
        mine = distance(drawn.pop(own))
        for other in drawn.values():
            if other.any():
                kept *= np.clip((distance(other) - mine) * (1 / slack) + 1, 0, 1)
    return kept


def _touching(mask: np.ndarray, line: np.ndarray) -> np.ndarray:
    """False (H, W) for those pieces of a mask that do not touch a line, if one does; True elsewhere."""
    count, pieces = cv2.connectedComponents(mask.astype(np.uint8))
    touching = pieces[(line > 0) & mask]
    if not len(touching):
        return np.ones(mask.shape, bool)
    kept = np.zeros(count, bool)
    kept[0] = kept[touching] = True
    return kept[pieces]


def _alike(picture: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """How surely (H, W), 0 to 1, the pixels of a picture (H, W, 4) uint8 are of the likely ones of some colours."""
    red, green, blue, _ = cv2.split(picture // (256 // BINS))
    found = colours.reshape(-1).take((red.astype(np.intp) * BINS + green) * BINS + blue)
    return cv2.blur(found, (3, 3))
