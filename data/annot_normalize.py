"""Step 2: move the dance's poses to the place, distance, size and proportions of the person in the training video."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np

from data import fit_report, pictures, pose_range
from data.annotations import Annotations, check_same_video
from data.files import atomic_path
from data.homography import displacement, move_keypoints
from data.person_mask import person_mask
from data.progress import Bar
from data.registration import in_room
from data.report import SHOWN, hips_seen, is_present
from data.retarget import PoseSequence, Retargeting, joined, normalise, of_frames
from data.rooms import same_room
from data.shots import in_each, parts
from data.video import preview_size, read_frames, resize, write_video
from main.cli import run_step
from main.config import Config
from pose_detector.errors import InputError
from pose_detector.keypoints import scale_keypoints

_TRAIN = "python data/video2data.py --mode train"
_TEST = "python data/video2data.py --mode test"
_LEAST = 1.5  # seconds of poses that a shot must have to be measured by itself
_PREVIEW = 1500  # frames of the preview at most; of a longer dance fewer a second are shown


def main(config: Config) -> None:
    """Run the step; see the module's docstring."""
    target = Annotations.load(config.train_annotations, _TRAIN)
    dance = Annotations.load(config.test_annotations, _TEST)
    # With the poses at hand the videos themselves are not needed here, and may be gone.
    if config.train_video_path.exists():
        check_same_video(target, config.train_video_path, _TRAIN)
    if config.test_video_path.exists():
        check_same_video(dance, config.test_video_path, _TEST)
    room = pictures.read(config.background_image)
    room = None if room is None else target.shown(room)
    target = target.in_view()
    check_hips(target, "film the whole body")
    check_hips(dance, "choose a dance that shows the whole body")
    # A pan is not a step to the side, nor a zoom a step towards the camera.
    steady = move_keypoints(dance.keypoints, dance.camera)
    into = way_to_room(config, dance, target, room)
    if into is None:
        poses, size = alike(steady, dance.frame_size, target.frame_size)
    else:
        poses, size = move_keypoints(steady, into), target.frame_size
    same_camera = into is not None or same_room(dance.room, target.room)
    moved = replace(dance, keypoints=poses, frame_size=size, view=None)
    keypoints, fit = normalise_shots(moved, target, config.normalise, same_camera)
    strange = pose_range.strangeness(keypoints, target.keypoints, dance.fps)
    if config.stay_in_range:
        keypoints = in_each(
            dance.shots, lambda part: pose_range.stay_in_range(part, target.keypoints, dance.fps), keypoints
        )
    normal = replace(
        dance,
        keypoints=keypoints,
        frame_size=target.frame_size,
        camera=None if into is None else into @ dance.camera,
        view=None,
        target_fingerprint=target.fingerprint,
        target_picture=target.picture,
        settings=f"{dance.settings}; onto {target.settings}; {config.normalise}, in range {config.stay_in_range}",
    )
    normal.save(config.norm_test_annotations)
    with atomic_path(config.norm_plot) as temporary:
        pictures.write(temporary, fit_report.plot(normal, fit, strange))
    write_preview(config, dance, normal, room)
    for line in fit_report.summary(normal, fit, strange, target):
        print(line)
    for path in (config.norm_test_annotations, config.norm_preview, config.norm_plot):
        print(f"written: {path}")


def normalise_shots(
    dance: Annotations, target: Annotations, method: str, same_camera: bool = False
) -> tuple[np.ndarray, Retargeting]:
    """Each shot of a dance as the target would do it: another shot is another camera.

    A shot with too few poses to be measured is taken as all of the dance together has it.

    Args:
        dance: with keypoints in pixels of `dance.frame_size`.
        target: of the training video.
        method: see `normalise`.
        same_camera: whether both show one room from one place; counts where the dance is one shot.

    Returns:
        (N, 18, 3) float32 keypoints in pixels of the target's frames, and a report over all shots.

    Raises:
        InputError: as `normalise`.
    """
    goal = PoseSequence(target.keypoints, target.filled, target.fps, target.frame_size)

    def fitted(part: slice, same_camera: bool) -> tuple[np.ndarray, Retargeting]:
        poses = PoseSequence(dance.keypoints[part], dance.filled[part], dance.fps, dance.frame_size)
        return normalise(poses, goal, method, same_camera=same_camera)

    pieces, present = parts(dance.shots, dance.total_frames), is_present(dance)
    if len(pieces) == 1:
        return fitted(pieces[0], same_camera)
    whole, results = None, []
    for part in pieces:
        result = None
        if present[part].sum() >= _LEAST * dance.fps:
            with contextlib.suppress(InputError):
                result = fitted(part, False)
        if result is None:
            whole = whole or fitted(slice(None), False)
            result = whole[0][part], of_frames(whole[1], part)
        results.append(result)
    return np.concatenate([keypoints for keypoints, _ in results]), joined([report for _, report in results])


def check_hips(annotations: Annotations, advice: str) -> None:
    """Raise InputError where the hips are hardly ever seen: without them the legs would be invented.

    Hardly ever: in less than `SHOWN` of the frames with the person.

    Args:
        annotations: of one of the videos.
        advice: what to do.
    """
    share = hips_seen(annotations)
    if is_present(annotations).any() and share < SHOWN:
        raise InputError(
            f"{annotations.source} shows its person from the hips up: the hips are seen in {share:.0%} of the frames,"
            f" so the place of the legs is unknown; {advice}, from head to feet"
        )


def alike(poses: np.ndarray, size: tuple[int, int], target: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
    """Keypoints (N, 18, 3) in pixels of frames of the target's (width, height), if theirs have the same shape: in high
    quality a dance is read at a lower resolution, and a person who dances their own dance should still be recognised.

    Returns:
        the keypoints, and the size of the frames whose pixels they are in.
    """
    scale = np.divide(target, size)
    if abs(scale[0] / scale[1] - 1) > 0.02:  # sides are multiples of 32
        return poses, size
    return scale_keypoints(poses, scale), target


def way_to_room(config: Config, dance: Annotations, target: Annotations, room: np.ndarray | None) -> np.ndarray | None:
    """Homography (3, 3) from the dance's steady pixels to those of the target's empty room (H, W, 3), where a camera
    was held in the hand and both videos show one room from about one place. None otherwise, or where it is unknown, as
    for a dance with cuts: each shot has a camera of its own."""
    moved = not all((each.camera == np.eye(3)).all() for each in (dance, target))
    if not moved or len(dance.shots) > 1 or room is None or not config.test_video_path.exists():
        return None
    reference = int(displacement(dance.camera, dance.frame_size).argmin())
    video = read_frames(config.test_video_path, dance.frame_size, dance.crop)
    frame = next(frame for i, _, frame in video if i == reference)
    people = 255 * np.uint8(person_mask(dance.keypoints[reference], dance.frame_size))
    found = in_room(frame, people, np.ascontiguousarray(room))
    return None if found is None else found @ np.linalg.inv(dance.camera[reference])


def write_preview(config: Config, dance: Annotations, normal: Annotations, room: np.ndarray | None) -> None:
    """The dance beside the normalised skeleton, as a video that one looks at before training for hours.

    Args:
        config: where the files are.
        dance, normal: the poses, before and after.
        room: (H, W, 3) the target's empty room; None, or of another size: grey.
    """
    if room is None or room.shape[1::-1] != normal.frame_size:
        room = np.full((*normal.frame_size[::-1], 3), 128, np.uint8)
    normal = normal.resized(preview_size(*normal.frame_size))
    room = resize(room, normal.frame_size)
    step = -(-normal.total_frames // _PREVIEW)
    chosen = range(0, normal.total_frames, step)
    frames = None
    if config.test_video_path.exists():
        video = read_frames(config.test_video_path, dance.frame_size, dance.crop)
        frames = (frame for i, _, frame in video if i % step == 0)
    shown = fit_report.preview(dance, normal, room, frames, chosen)
    shown = Bar(shown, total=len(chosen), unit="frame", desc="preview")
    write_video(config.norm_preview, shown, dance.fps / step, dance.times[::step], preset="veryfast", crf=23)


if __name__ == "__main__":
    run_step(main, __doc__ or "")
