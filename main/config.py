"""Every setting of the five steps, in one place.

Change a default here, or give it on the command line of any step (``--epochs 40``).
"""

from __future__ import annotations

import functools
import re
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Literal, get_args

from data.annotations import fingerprint
from pose_detector.errors import InputError
from pose_detector.untrusted import MOST_PIXELS

ROOT = Path(__file__).resolve().parent.parent

# MediaPipe's pose network, heavy (80 ms a frame) or full (20 ms); this repository's own; no second look.
Look = Literal["auto", "blazepose", "blazepose_full", "bundled", "none"]

# Size of the result: `frame_area` pixels (draft), or the train video's own; there, the generator decides about a person
# at up to 512 pixels of height (normal) or 1024 (high), and copies and mixture are made at up to 896 or 1792.
Quality = Literal["draft", "normal", "high"]


def _path(folder: str, *parts: str) -> property:
    """A path in a folder that another of the settings' paths names."""
    return property(lambda self: getattr(self, folder).joinpath(*parts))


@dataclass
class Config:
    """All settings; units stand in the comments."""

    # ---- Files ------------------------------------------------------------------------------------------------------
    workspace: Path = ROOT  # folder that holds data/source and output; another one for another pair
    train_video: Path | None = None  # the person who shall dance; None: data/source/train.mp4
    test_video: Path | None = None  # the dance; None: data/source/test.mp4
    name: str = ""  # of a pair: its files are kept apart, in runs, and what pairs share is made once; also the person's
    person_file: Path | None = None  # a trained person, from output/persons, instead of train_video: no steps 1, 3
    partner: Path | None = None  # a second trained person, for a dance of two: does what its right one does
    dancer: Literal["both", "first", "second"] = "both"  # whom a step works for where there is a partner

    # ---- All steps --------------------------------------------------------------------------------------------------
    device: str = "auto"  # "cpu", "cuda", "cuda:1", "mps"; auto: the first GPU, else the CPU
    quality: Quality = "normal"  # of the result; the same in every step
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # of the networks, steps 3, 4; auto: the device's best
    seed: int = 0  # of every random number
    threads: int = 0  # CPU threads of torch; 0: as torch chooses

    # ---- main/look.py -----------------------------------------------------------------------------------------------
    look: Literal["both", "train", "test"] = "both"  # at which video; both: also how long all steps will take

    # ---- Step 1: data/video2data.py ---------------------------------------------------------------------------------
    mode: Literal["train", "test"] = "train"  # which of the two videos to read
    frame_area: int = 512 * 288  # pixels of the dance's frames, of all frames that the first look sees, and of a draft;
    # sides follow the video's aspect ratio
    most_frames: int = 2000  # train frames kept as pictures, about; of a longer video pairs of them, evenly spread
    pose_weights: str = ""  # a .pth or .onnx file, or "openpose" (209 MB, fetched once); empty: the bundled one
    second_look: Look = "auto"  # at the dancer; auto: blazepose (28 MB, fetched once), or bundled where there is none
    second_look_model: Path | None = None  # a BlazePose file (.tflite) of your own, instead of a fetched one
    offline: bool = False  # never fetch a network: take those that are there
    person: int | None = None  # which person, counted from 0 left to right; None: largest and present longest
    train_dancer: tuple[float, float, float] | None = None  # instead: a second of the train video, and a place on the
    test_dancer: tuple[float, float, float] | None = None  # dancer then, in shares of width and height; the same
    pose_batch: int = 8  # frames that the detector is given at once
    pose_flip: bool = False  # look at every frame in the mirror too, and average: errs less, takes twice as long
    pose_turns: bool = False  # ... and turned by quarters: finds dancers upside down, takes four times as long
    pose_scales: tuple[float, ...] = (1.0,)  # sizes of the network's input, relative to its usual one; averaged
    train_poses: Path | None = None  # folder of OpenPose's .json files of the train video, to take instead of detecting
    test_poses: Path | None = None  # the same of the dance
    save_poses: bool = False  # also write everybody seen as such files, to data/source/poses
    preview: bool = False  # also write a video of what was seen: data/source/train_preview.mp4, test_preview.mp4
    redo: bool = False  # detect, and in step 4 render, again although the result for these files and settings is there

    # ---- Step 2: data/annot_normalize.py ----------------------------------------------------------------------------
    normalise: Literal["limbs", "global"] = "limbs"  # bones and cameras, or one scale and shift a frame (the paper's)
    stay_in_range: bool = False  # bring poses unlike all of the training gently nearer to them

    # ---- Step 3: main/train.py --------------------------------------------------------------------------------------
    start: Literal["auto", "pretrained", "scratch"] = "auto"  # the generator that knows people (auto: where it fits)
    epochs: int = 40  # passes over the training frames; 0: the pretrained generator as it is
    # Measured on a clip of 5 s: validation rose in the first of 6 epochs of 28 steps, then no more.
    patience: int = 3  # stop when validation has not risen for so many epochs; 0: never
    max_minutes: float = 10.0  # stop training, saved and usable, after so many minutes; 0: no limit
    continue_train: bool = False  # go on from the newest checkpoint in output/model_dump, if it is of this person
    keep_checkpoints: int = 5  # how many of the newest stay; the best one always does
    batch_size: int = 4  # pairs of successive frames in a step, of each process
    learning_rate: float = 4e-4  # of Adam, generator; falls linearly to 0 over the second half of the epochs
    discriminator_rate: float = 1e-4  # of Adam, discriminator
    crop: int = 128  # side in pixels, a multiple of 32, of what a step sees of the person's window; high quality: twice
    validation_frames: int = 12  # how many of the held-out frames are rendered after each epoch
    channels: int = 96  # width of the hourglasses
    stacks: int = 2  # how many hourglasses
    detail: int = 16  # channels of the generator's head at full resolution
    discriminator_channels: int = 24  # of its first layer
    discriminator_scales: int = 2  # how many, each at half the resolution of the one before
    weight_pixel: float = 15.0  # of the loss terms: L1, pixels
    weight_ssim: float = 5.0  # 1 - SSIM
    weight_detail: float = 4.0  # strength of fine detail
    weight_adversarial: float = 0.3  # the discriminator's scores
    weight_feature_matching: float = 1.5  # the discriminator's features
    weight_perceptual: float = 1.0  # features of a fixed network
    perceptual: Literal["pose", "vgg19", "none"] = "pose"  # the pose trunk, or VGG-19 (548 MB)
    ema: float = 0.998  # decay a step of the averaged generator, the one that renders

    # ---- Step 4: main/test.py ---------------------------------------------------------------------------------------
    checkpoint: Path | None = None  # which to render with; None: the best in validation
    camera: Literal["still", "original"] = "still"  # of the result; original: it moves as the train video's did

    # ---- main/evaluate.py -------------------------------------------------------------------------------------------
    truth: Path | None = None  # video of what the result should show
    evaluate_weights: str = ""  # pose network that looks for the keypoints in the result, better not the one of step 1
    lpips: bool = False  # also LPIPS, for which AlexNet (244 MB) is fetched once

    # ---- Texture, steps 3 and 4 -------------------------------------------------------------------------------------
    bank: int = 1000  # training frames that texture is copied from, at most; they are kept in memory
    apart: float = 0.5  # seconds; in training, texture is never copied from frames nearer than this

    # ---- Step 5: output/img2video.py --------------------------------------------------------------------------------
    crf: float = 16.0  # quality of the H.264 video: 0 is lossless, 23 visibly worse than 16
    mark: bool = False  # write "synthetic" into a corner of the picture

    # ---- output/live.py ---------------------------------------------------------------------------------------------
    source: str = ""  # a video, or the number of a camera, counted from 0
    to: Path | None = None  # video to write; None: a page on this computer, http://127.0.0.1:8137

    @property
    def enlarged(self) -> int:
        """How many times as large as in normal quality the person may be; what is counted in pixels follows."""
        return {"draft": 1, "normal": 1, "high": 2}[self.quality]

    @property
    def most_height(self) -> int:
        """Pixels that a person is high at most when generated."""
        return 512 * self.enlarged

    @property
    def most_texture(self) -> int:
        """Pixels that a person is high at most in the frames that step 4 copies texture from."""
        return {"draft": 512, "normal": 896, "high": 1792}[self.quality]

    # ---- Where things lie -------------------------------------------------------------------------------------------
    def of_dancer(self, dancer: Literal["first", "second"]) -> Config:
        """The settings for one of two dancers, whose files lie apart: the left one of the dance, or the right one."""
        number = ("first", "second").index(dancer)
        person_file = (self.person_file, self.partner)[number]
        return replace(
            self, dancer=dancer, person_file=person_file, person=number, name=f"{self.name or 'pair'}-{dancer}"
        )

    @property
    def person_dir(self) -> Path:  # holds what is made of the train video, or of the person's file
        if self.person_file:
            return self.workspace / "runs" / "persons" / digest(self.person_file)
        return self.workspace / "runs" / "persons" / digest(self.train_video_path) if self.name else self.workspace

    @property
    def dance_dir(self) -> Path:  # ... of the dance
        if not self.name:
            return self.workspace
        which = "" if self.person is None else f"-{self.person}"
        return self.workspace / "runs" / "dances" / f"{digest(self.test_video_path)}{which}"

    @property
    def pair_dir(self) -> Path:  # ... of both
        return self.workspace / "runs" / self.name if self.name else self.workspace

    source_dir = _path("workspace", "data", "source")
    train_source_dir = _path("person_dir", "data", "source")
    test_source_dir = _path("dance_dir", "data", "source")
    pair_source_dir = _path("pair_dir", "data", "source")
    images_dir = _path("train_source_dir", "images")
    masks_dir = _path("train_source_dir", "masks")
    train_annotations = _path("train_source_dir", "annotations", "train_annotations.npz")
    background_image = _path("train_source_dir", "train_bg_img.png")
    frame_image = _path("train_source_dir", "train_frame.png")  # what lies around the training video's picture
    test_annotations = _path("test_source_dir", "annotations", "test_annotations.npz")
    norm_test_annotations = _path("pair_source_dir", "annotations", "norm_test_annotations.npz")
    norm_preview = _path("pair_source_dir", "norm_preview.mp4")
    norm_plot = _path("pair_source_dir", "norm_plot.png")
    look_dir = _path("pair_source_dir", "look")
    step_logs = _path("pair_source_dir", "steps")  # what each step printed
    checkpoint_dir = _path("person_dir", "output", "model_dump")
    vis_dir = _path("pair_dir", "output", "vis")
    rendered_of = _path("vis_dir", "rendered_of.txt")  # fingerprint of the dance that the pictures beside it show
    rendered_by = _path("vis_dir", "rendered_by.txt")  # all that decided how they look
    result_dir = _path("pair_dir", "output", "result")
    persons_dir = _path("workspace", "output", "persons")
    journal = _path("workspace", "output", "progress.jsonl")  # see data/progress.py

    @property
    def mode_source_dir(self) -> Path:
        return self.train_source_dir if self.mode == "train" else self.test_source_dir

    @property
    def train_video_path(self) -> Path:
        if self.person_file:
            return self.train_source_dir / "train.mp4"  # which is not in the person's file
        return self.train_video or self.source_dir / "train.mp4"

    @property
    def test_video_path(self) -> Path:
        return self.test_video or self.source_dir / "test.mp4"

    @property
    def poses_dir(self) -> Path:
        return self.mode_source_dir / "poses" / self.mode

    @property
    def preview_video(self) -> Path:
        return self.mode_source_dir / f"{self.mode}_preview.mp4"

    def as_dict(self) -> dict[str, object]:
        """Settings as plain values, as a checkpoint keeps them."""
        return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}


# The least and the most of settings; of more than one value each.
_LIMITS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("epochs", "patience", "max_minutes", "apart"), (0, 10**6)),
    **dict.fromkeys((f.name for f in fields(Config) if f.name.startswith("weight_")), (0, 10**6)),
    **dict.fromkeys(("keep_checkpoints", "validation_frames", "bank"), (1, 10**6)),
    **dict.fromkeys(("pose_batch", "batch_size"), (1, 1024)),
    **dict.fromkeys(("learning_rate", "discriminator_rate", "ema"), (0, 1)),
    **dict.fromkeys(("train_dancer", "test_dancer"), (0, 1e6)),
    "seed": (0, 2**32 - 1),
    "threads": (0, 1024),
    "frame_area": (1024, MOST_PIXELS),
    "person": (0, 1000),
    "most_frames": (2, 10**6),
    "pose_scales": (0.1, 8),
    "crop": (32, 4096),
    "channels": (2, 512),  # these two together decide the memory
    "stacks": (1, 8),
    "detail": (1, 256),
    "discriminator_channels": (1, 256),
    "discriminator_scales": (1, 5),
    "crf": (0, 51),
}


def check(config: Config) -> None:
    """Raise InputError, naming the setting, where a value makes no sense."""
    for name, (low, high) in _LIMITS.items():
        value = getattr(config, name)
        values = value if isinstance(value, tuple) else (value,)
        if not values or not all(v is None or low <= v <= high for v in values):
            raise InputError(f"{name} is {value}; give {low:g} to {high:g} (--help lists every setting)")
    if config.quality not in get_args(Quality):  # from a checkpoint; the command line is checked by itself
        raise InputError(f"quality is {config.quality}; give {', '.join(get_args(Quality))}")
    if config.crop % 32:
        raise InputError(f"crop is {config.crop}; give a multiple of 32 (--help lists every setting)")


def check_name(name: str) -> None:
    """Raise InputError unless a name may be that of a file and of a folder beside `persons` and `dances`."""
    if name and (not re.fullmatch(r"\w[\w .+-]{0,99}(?<![ .])", name) or name.lower() in ("persons", "dances")):
        raise InputError(
            f"--name {name} will not do: take letters, digits, blanks and -_.+, and neither persons nor dances"
        )


def of_pair(config: Config) -> Config:
    """The settings; where there is a partner, those for the dancer that the step works for, or for both.

    Raises:
        InputError: there is a partner alone.
    """
    if not config.partner:
        return config
    if not config.person_file:
        raise InputError("--partner is the second of two trained persons; name the first one: --person_file")
    if config.dancer != "both":
        return config.of_dancer(config.dancer)
    return replace(config, name=config.name or "pair")


def digest(path: Path) -> str:
    """The fingerprint of a file that runs are kept apart by.

    Raises:
        InputError: the file is missing.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise InputError(f"{path} is missing or cannot be read") from error
    return _digest(path, state.st_mtime_ns, state.st_size)


@functools.cache
def _digest(path: Path, changed: int, size: int) -> str:
    return fingerprint(path)
