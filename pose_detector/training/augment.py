"""Training examples for the keypoint networks: varied crops, and the maps that a network should give for them."""

from dataclasses import dataclass

import cv2
import numpy as np

from pose_detector.keypoints import scale_points
from pose_detector.mirror import CHANNELS
from pose_detector.networks import HEATMAPS, PAFS, STRIDE
from pose_detector.pafprocess import PAF_CHANNELS
from pose_detector.skeleton import LIMBS, MIRROR

SIGMA = 7.0  # of a keypoint's blob, pixels of the network's input (OpenPose)
LIMB_RADIUS = 8.0  # half width of a limb's field, pixels of the network's input (OpenPose)


@dataclass
class View:
    """A teacher network's answer to a picture, or to a part of it.

    Attributes:
        maps: (57, h, w) uint8: heat maps * 255, PAFs * 127 + 128.
        matrix: (2, 3) float32 from pixels of the picture to those of the teacher's input; turns, scales and shifts.
    """

    maps: np.ndarray
    matrix: np.ndarray


@dataclass
class Picture:
    """A picture to learn from.

    Attributes:
        rgb: (H, W, 3) uint8.
        keypoints: (P, 18, 3) float32: x and y in pixels, and 1 where the keypoint is known to lie there, else 0.
        alpha: (H, W) uint8, the share of the figures in each pixel, or None: the whole picture counts.
        complete: Whether `keypoints` are all that can be seen; else nothing is known of other people and keypoints.
        views: What a teacher network saw, for what is not complete; the first that shows a place counts.
    """

    rgb: np.ndarray
    keypoints: np.ndarray
    alpha: np.ndarray | None = None
    complete: bool = True
    views: tuple[View, ...] = ()


def compose(after: np.ndarray, before: np.ndarray) -> np.ndarray:
    """(2, 3) affine matrix of one map after another."""
    return np.column_stack([after[:, :2] @ before[:, :2], after[:, :2] @ before[:, 2] + after[:, 2]])


def cell_centres(cells: int) -> np.ndarray:
    """(cells,) pixel coordinates of the centres of map cells."""
    return scale_points(np.arange(cells), STRIDE).astype(np.float32)


def draw_maps(people: np.ndarray, cells: tuple[int, int]) -> np.ndarray:
    """The maps of people whose keypoints are known, as OpenPose defines them.

    Args:
        people: (P, 18, 3) x, y in pixels of the network's input, and 0 where there is no such keypoint.
        cells: Height and width of the maps.

    Returns:
        (57, h, w) float32: 18 heat maps, background, 38 PAF channels.
    """
    ys, xs = cell_centres(cells[0])[:, None], cell_centres(cells[1])[None, :]
    maps = np.zeros((HEATMAPS + PAFS, *cells), dtype=np.float32)
    counts = np.zeros((len(LIMBS), *cells), dtype=np.float32)
    fields = np.zeros((2, len(LIMBS), *cells), dtype=np.float32)
    for person in people:
        x, y, known = (person[:, i, None, None] for i in range(3))
        blobs = np.exp(((xs - x) ** 2 + (ys - y) ** 2) * (-0.5 / SIGMA**2)) * (known > 0)
        np.maximum(maps[:18], blobs, out=maps[:18])

        start, end = person[LIMBS[:, 0]], person[LIMBS[:, 1]]
        step = end[:, :2] - start[:, :2]
        length = np.hypot(step[:, 0], step[:, 1])
        there = (start[:, 2] > 0) & (end[:, 2] > 0) & (length > 1e-3)
        ux, uy = (step / np.maximum(length, 1e-3)[:, None]).T[:, :, None, None]
        dx, dy = xs - start[:, 0, None, None], ys - start[:, 1, None, None]
        along, across = dx * ux + dy * uy, np.abs(dx * uy - dy * ux)
        on = (along >= -LIMB_RADIUS / 2) & (along <= length[:, None, None] + LIMB_RADIUS / 2) & (across <= LIMB_RADIUS)
        on &= there[:, None, None]
        counts += on
        fields[0] += on * ux
        fields[1] += on * uy
    fields /= np.maximum(counts, 1)
    maps[18] = 1 - maps[:18].max(axis=0)
    maps[HEATMAPS + PAF_CHANNELS[:, 0]], maps[HEATMAPS + PAF_CHANNELS[:, 1]] = fields
    return maps


def warp_keypoints(keypoints: np.ndarray, matrix: np.ndarray, mirrored: bool) -> np.ndarray:
    """(P, 18, 3) through a (2, 3) affine matrix; in a mirror left becomes right."""
    warped = keypoints.copy()
    warped[..., :2] = keypoints[..., :2] @ matrix[:, :2].T + matrix[:, 2]
    return warped[:, MIRROR] if mirrored else warped


def warp_maps(view: View, matrix: np.ndarray, mirrored: bool, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """A teacher's maps, seen through the (2, 3) matrix from picture to crop.

    Returns:
        (57, cells, cells) float32, and which cells the view shows, (cells, cells) bool.
    """
    back = compose(view.matrix, cv2.invertAffineTransform(matrix))  # crop -> teacher's input
    centres = cell_centres(cells)
    grid = np.stack(np.meshgrid(centres, centres), axis=-1) @ back[:, :2].T + back[:, 2]
    grid = scale_points(grid, 1 / STRIDE).astype(np.float32)
    height, width = view.maps.shape[1:]
    shown = ((grid > -0.5) & (grid < np.array([width, height]) - 0.5)).all(axis=-1)
    planes = np.ascontiguousarray(view.maps.transpose(1, 2, 0))
    seen = cv2.remap(planes, grid, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    seen = seen.transpose(2, 0, 1).astype(np.float32)
    heat, pafs = seen[:HEATMAPS] / 255, (seen[HEATMAPS:] - 128) / 127
    turn = np.linalg.inv(back[:, :2])
    turn /= np.sqrt(abs(np.linalg.det(turn)))  # reflects where it mirrors
    pafs[PAF_CHANNELS] = np.einsum("ij,ljhw->lihw", turn, pafs[PAF_CHANNELS])
    maps = np.concatenate([heat, pafs])
    return (maps[CHANNELS] if mirrored else maps), shown


def look(views: tuple[View, ...], matrix: np.ndarray, mirrored: bool, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """`warp_maps` of several views; each fills in what those before it do not show."""
    maps = np.zeros((HEATMAPS + PAFS, cells, cells), dtype=np.float32)
    shown = np.zeros((cells, cells), dtype=bool)
    for view in views:
        more, there = warp_maps(view, matrix, mirrored, cells)
        maps = np.where(there & ~shown, more, maps)
        shown |= there
    return maps, shown


def merge_teacher(
    drawn: np.ndarray, teacher: np.ndarray, shown: np.ndarray, person: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Labels where there are some, the teacher's answer elsewhere.

    In the box around the labelled person the labels alone count for the keypoints and limbs that they name: the
    teacher may have confused left and right there. Outside of it, and for all other channels, the teacher counts, with
    0.8 of the weight of labels; where it was not asked they do not count.

    Args:
        drawn: (57, h, w) maps of the labelled person.
        teacher: (57, h, w).
        shown: (h, w) bool, where the teacher was asked.
        person: (18, 3) keypoints of the labelled person in pixels.

    Returns:
        Maps and weights, both (57, h, w) float32.
    """
    known = person[:, 2] > 0
    low, high = person[known, :2].min(axis=0), person[known, :2].max(axis=0)
    margin = 8 + 0.15 * (high - low).max()
    ys, xs = cell_centres(drawn.shape[1])[:, None], cell_centres(drawn.shape[2])[None, :]
    box = (xs > low[0] - margin) & (xs < high[0] + margin) & (ys > low[1] - margin) & (ys < high[1] + margin)

    channel_known = np.zeros(len(drawn), dtype=bool)
    channel_known[:18] = known
    limb_known = known[LIMBS].all(axis=1)
    channel_known[HEATMAPS + PAF_CHANNELS[limb_known]] = True
    labelled = channel_known[:, None, None] & box
    weights = np.where(labelled | (np.abs(drawn) > 0.1), 1.0, 0.8 * shown).astype(np.float32)
    stronger = np.where(np.abs(drawn) > np.abs(teacher), drawn, teacher)
    maps = np.where(labelled, drawn, stronger)
    maps[18] = 1 - maps[:18].max(axis=0)
    return maps, weights


def trunk_down(person: np.ndarray) -> np.ndarray | None:
    """(2,) from the neck or shoulders to the hips of a person (18, 3), pixels; None where too little of it is known."""
    ends = []
    for joints in ([1, 2, 5], [8, 11]):
        known = [j for j in joints if person[j, 2] > 0]
        if not known:
            return None
        ends.append(person[known, :2].mean(axis=0))
    return ends[1] - ends[0]


def set_upright(person: np.ndarray, box: tuple[int, int]) -> np.ndarray:
    """(2, 3) matrix from the picture to a box of height and width in which a person (18, 3) stands upright."""
    trunk = trunk_down(person)
    angle = 0.0 if trunk is None else np.arctan2(trunk[0], trunk[1])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = person[person[:, 2] > 0, :2] @ turn.T
    low, high = points.min(axis=0), points.max(axis=0)
    height, width = box
    scale = (np.array([0.75 * width, 0.7 * height]) / np.maximum(high - low, 16)).min()  # room for the head, the hands
    linear, middle = scale * turn, [0.5 * width, 0.53 * height]
    return np.column_stack([linear, middle - scale * (low + high) / 2]).astype(np.float32)


def untangle(person: np.ndarray, view: View) -> np.ndarray:
    """A labelled person (18, 3) with arms or legs swapped where a teacher's view of it says that clearly."""
    heat = view.maps[:18].astype(np.float32) / 255
    x, y = ((person[:, :2] @ view.matrix[:, :2].T + view.matrix[:, 2] + 0.5) / STRIDE).astype(int).T
    x, y = x.clip(0, heat.shape[2] - 1), y.clip(0, heat.shape[1] - 1)
    gain = (heat[MIRROR, y, x] - heat[np.arange(18), y, x]) * (person[:, 2] > 0)
    person = person.copy()
    for joints in ([2, 3, 4, 5, 6, 7], [8, 9, 10, 11, 12, 13]):
        if gain[joints].sum() > 0.6:
            person[joints] = person[MIRROR[joints]]
    return person


def random_view(
    people: np.ndarray, size: int, upright: float, rng: np.random.Generator, set_up: float = 0.0
) -> tuple[np.ndarray, bool]:
    """A random affine view of a picture: a (2, 3) matrix to a square crop of `size` pixels, and whether it mirrors.

    One person, taken at random, is 0.5 to 1.15 times as large as the crop, and mostly but not always in it.

    Args:
        people: (P, 18, 3) keypoints.
        size: Side of the crop, pixels.
        upright: Standard deviation of the rotation, radians.
        rng: Source of chance.
        set_up: How often the person is first turned until the trunk stands upright.
    """
    person = people[rng.integers(len(people))]
    points = person[person[:, 2] > 0, :2]
    low, high = points.min(axis=0), points.max(axis=0)
    extent = max((high - low).max(), 16.0)
    scale = size * np.exp(rng.uniform(np.log(0.5), np.log(1.15))) / extent
    stretch = np.exp(rng.normal(0, 0.05))
    angle = rng.normal(0, upright) if rng.random() > 0.02 else rng.uniform(-np.pi, np.pi)
    mirrored = bool(rng.random() < 0.5)
    trunk = trunk_down(person) if rng.random() < set_up else None
    if trunk is not None:
        angle += np.arctan2(-trunk[0] if mirrored else trunk[0], trunk[1])
    cos, sin = np.cos(angle), np.sin(angle)
    linear = scale * np.array([[cos, -sin], [sin, cos]]) @ np.diag([-stretch if mirrored else stretch, 1 / stretch])
    reach = 0.28 * max(0.4, 1.2 - extent * scale / size) if rng.random() < 0.9 else 1.0
    shift = size * (0.5 + rng.uniform(-reach, reach, 2))
    matrix = np.column_stack([linear, shift - linear @ ((low + high) / 2)])
    return matrix.astype(np.float32), mirrored


def vary_colours(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Brightness, contrast, gamma, white balance, saturation and hue; now and then grey."""
    levels = np.linspace(0, 1, 256)[:, None]
    gain = np.exp(rng.normal(0, 0.2)) * np.exp(rng.normal(0, 0.07, 3))
    table = np.clip((levels - 0.5) * gain + 0.5 + rng.normal(0, 0.1), 0, 1) ** np.exp(rng.normal(0, 0.25))
    rgb = cv2.LUT(rgb, (table * 255).round().astype(np.uint8)[None])
    saturation = 0.0 if rng.random() < 0.05 else np.exp(rng.normal(0, 0.3))
    hue = rng.normal(0, 0.25)  # radians around the grey axis
    third, root = 1 / 3, np.sqrt(1 / 3)
    cross = np.array([[0, -root, root], [root, 0, -root], [-root, root, 0]])
    turn = np.cos(hue) * np.eye(3) + np.sin(hue) * cross + (1 - np.cos(hue)) * third
    matrix = (1 - saturation) * np.full((3, 3), third) + saturation * turn
    return cv2.transform(rgb, matrix.astype(np.float32))


def degrade(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What lenses and codecs do: blur, motion blur, low resolution, noise, JPEG."""
    size = rgb.shape[0]
    choice = rng.random()
    if choice < 0.15:
        rgb = cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.4, 1.8))
    elif choice < 0.25:
        kernel = np.zeros((7, 7), dtype=np.float32)
        dx, dy = rng.normal(0, 2, 2)
        cv2.line(kernel, (round(3 - dx), round(3 - dy)), (round(3 + dx), round(3 + dy)), 1.0, 1, cv2.LINE_AA)
        kernel[3, 3] += 0.1
        rgb = cv2.filter2D(rgb, -1, kernel / kernel.sum())
    elif choice < 0.4:
        small = round(size * rng.uniform(0.35, 0.8))
        rgb = cv2.resize(cv2.resize(rgb, (small, small), interpolation=cv2.INTER_AREA), (size, size))
    if rng.random() < 0.3:
        grain = rng.standard_normal((size, size, 1 if rng.random() < 0.5 else 3), dtype=np.float32)
        rgb = np.clip(rgb + grain * rng.uniform(2, 14), 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 80))]
        rgb = cv2.imdecode(cv2.imencode(".jpg", rgb, quality)[1], cv2.IMREAD_COLOR)
    return rgb


def occlude(rgb: np.ndarray, rng: np.random.Generator) -> None:
    """Put one to three flat or grainy shapes in front, in place."""
    size = rgb.shape[0]
    for _ in range(rng.integers(1, 4)):
        patch = np.empty_like(rgb)
        patch[:] = rng.integers(0, 256, 3)
        if rng.random() < 0.5:
            patch = cv2.add(patch, np.ascontiguousarray(rgb[::-1, ::-1] // 2))
        mask = np.zeros(rgb.shape[:2], dtype=np.uint8)
        centre = [int(c) for c in rng.integers(0, size, 2)]
        axes = [int(a) for a in rng.uniform(0.03, 0.16, 2) * size]
        cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 255, -1)
        rgb[mask > 0] = patch[mask > 0]


def texture(size: int, rng: np.random.Generator) -> np.ndarray:
    """A (size, size, 3) uint8 background of gradients, blobs, stripes, boxes and grain."""
    corners = rng.integers(0, 256, (2, 2, 3)).astype(np.uint8)
    rgb = cv2.resize(corners, (size, size), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    for _ in range(rng.integers(0, 4)):
        cells = int(2 ** rng.uniform(1, 6))
        blobs = rng.standard_normal((cells, cells, 1 if rng.random() < 0.5 else 3), dtype=np.float32)
        kind = cv2.INTER_CUBIC if rng.random() < 0.7 else cv2.INTER_NEAREST
        rgb += cv2.resize(blobs, (size, size), interpolation=kind).reshape(size, size, -1) * rng.uniform(5, 50)
    rgb = np.clip(rgb, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        angle, period = rng.uniform(0, np.pi), rng.uniform(4, 40)
        ys, xs = np.mgrid[:size, :size]
        stripes = np.sin((xs * np.cos(angle) + ys * np.sin(angle)) * 2 * np.pi / period) > rng.uniform(-0.8, 0.8)
        rgb[stripes] = rgb[stripes] // 2 + rng.integers(0, 128, 3).astype(np.uint8)
    for _ in range(rng.integers(0, 7)):  # furniture, posts, limb-like bars
        colour = rng.integers(0, 256, 3).tolist()
        a, b = rng.integers(-size // 4, size + size // 4, (2, 2)).tolist()
        if rng.random() < 0.5:
            cv2.rectangle(rgb, a, b, colour, -1 if rng.random() < 0.6 else int(rng.integers(1, 6)))
        else:
            cv2.line(rgb, a, b, colour, int(rng.integers(1, max(2, size // 12))), cv2.LINE_AA)
    return rgb


def crop(
    picture: Picture, size: int, upright: float, backdrop: np.ndarray, rng: np.random.Generator, set_up: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A random view of one picture before a backdrop, without changes of colour.

    Args:
        picture: What to look at.
        size: Side of the crop, pixels, a multiple of 8.
        upright: Standard deviation of the rotation, radians.
        backdrop: (size, size, 3) uint8, seen beyond the picture and where its alpha is 0.
        rng: Source of chance.
        set_up: How often a person is turned until the trunk stands upright.

    Returns:
        rgb (size, size, 3) uint8, maps and weights (57, size / 8, size / 8), cover (size, size) float32 in [0, 1], the
        part of the backdrop that is hidden.
    """
    matrix, mirrored = random_view(picture.keypoints, size, upright, rng, set_up)
    cells = size // STRIDE
    alpha = picture.alpha if picture.alpha is not None else np.full(picture.rgb.shape[:2], 255, dtype=np.uint8)
    cover = cv2.warpAffine(alpha, matrix, (size, size)).astype(np.float32) / 255
    seen = cv2.warpAffine(picture.rgb, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE)
    rgb = (backdrop + (seen.astype(np.float32) - backdrop) * cover[..., None]).round().astype(np.uint8)
    people = warp_keypoints(picture.keypoints, matrix, mirrored)
    maps = draw_maps(people, (cells, cells))
    weights = np.ones_like(maps)
    if not picture.complete:
        maps, weights = merge_teacher(maps, *look(picture.views, matrix, mirrored, cells), people[0])
    return rgb, maps, weights, cover


def paste(
    below: tuple[np.ndarray, np.ndarray], above: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
) -> np.ndarray:
    """Maps of a crop after figures were put in front of it: what they hide is taken away, what they show is added.

    Args:
        below: Maps and weights (57, h, w) of the crop; the weights stay as they are.
        above: The result of `crop` for the figures.
    """
    maps = below[0]
    cells = maps.shape[1:]
    hidden = cv2.resize(above[3], cells[::-1], interpolation=cv2.INTER_AREA)
    behind = maps * (1 - hidden)
    merged = np.where(np.abs(above[1]) >= np.abs(behind), above[1], behind)
    merged[18] = 1 - merged[:18].max(axis=0)
    return merged
