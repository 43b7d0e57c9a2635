"""Step 2: move the dance's poses to the place, distance and size of the person in the training video."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from data.annotations import Annotations, check_same_video
from data.normalize import Report, normalise
from main.config import Config, run_step

_TRAIN = "python data/video2data.py --mode train"
_TEST = "python data/video2data.py --mode test"


def main(config: Config) -> None:
    """Run the step; see the module's docstring."""
    target = Annotations.load(config.train_annotations, _TRAIN)
    dance = Annotations.load(config.test_annotations, _TEST)
    # With the poses at hand the videos themselves are not needed here, and may be gone.
    if config.train_video_path.exists():
        check_same_video(target, config.train_video_path, _TRAIN)
    if config.test_video_path.exists():
        check_same_video(dance, config.test_video_path, _TEST)
    keypoints, report = normalise(
        dance.keypoints,
        dance.filled,
        dance.fps,
        dance.frame_size,
        target.keypoints,
        target.filled,
        target.fps,
        target.frame_size,
        config.normalise,
    )
    replace(
        dance,
        keypoints=keypoints,
        frame_size=target.frame_size,
        target_fingerprint=target.fingerprint,
        settings=f"{dance.settings}; onto {target.settings}",
    ).save(config.norm_test_annotations)
    for line in summary(report, dance, target):
        print(line)
    print(f"written: {config.norm_test_annotations}")


def summary(report: Report, dance: Annotations, target: Annotations) -> list[str]:
    """What a user should know of the result, line by line, advice last."""
    low, high = float(report.scale.min()), float(report.scale.max())
    factor = f"{np.median(report.scale):.2f}" + (f" ({low:.2f} to {high:.2f})" if high - low > 0.005 else "")
    lines = [
        f"{dance.source} ({dance.frame_size[0]}x{dance.frame_size[1]}, {dance.total_frames} frames) onto the person in "
        f"{target.source} ({target.frame_size[0]}x{target.frame_size[1]}): size x {factor}",
        f"sideways travel, beside that: x {report.travel_gain:.2f}; "
        f"{report.outside.any(1).mean():.0%} of the frames reach out of the picture",
    ]
    if report.anchor != "ankles":
        lines.append(
            f"advice: the feet are not seen in both videos, so the {report.anchor} stand for them; film them too"
        )
    if report.travel_gain < 0.7:
        lines.append(
            "advice: the dance needs more room sideways than the target's picture has; its steps are shortened"
        )
    if report.outside.any(1).mean() > 0.3:
        lines.append("advice: the target stands so near that the dance leaves the picture; film from further away")
    if high > 2.5:
        lines.append("advice: the dancer is small in the picture and is enlarged; a closer dance video is steadier")
    return lines


if __name__ == "__main__":
    run_step(main, __doc__ or "")
