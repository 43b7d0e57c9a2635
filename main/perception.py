"""The two networks of step 1, as the settings name them."""

from __future__ import annotations

from pathlib import Path

from data.detecting import Detect
from main.config import Config
from pose_detector.look import Looker


class Networks:
    """The networks that the settings name. Torch takes seconds to import: complaints about the video come before it."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def first(self) -> tuple[Path, str]:
        """Weights of the first look, and why these."""
        from pose_detector.weights import resolve

        return resolve(self.config.pose_weights, offline=self.config.offline)

    def load_first(self, weights: Path) -> Detect:
        """The first look itself."""
        from main.device import prepare_device
        from pose_detector.detector import Detector

        config = self.config
        device = prepare_device(config.device, config.threads)
        options = {"flip": config.pose_flip, "scales": config.pose_scales, "turns": config.pose_turns}
        return Detector.load(str(weights), device=device, **options).stream

    def second(self) -> tuple[str, Path, str]:
        """Kind and weights of the second look, and why these."""
        from pose_detector.model_files import resolve_second_look

        config = self.config
        # The outline is needed even where the first look's keypoints are used.
        name = "bundled" if config.second_look == "none" else config.second_look
        return resolve_second_look(name, config.second_look_model, offline=config.offline)

    def load_second(self, kind: str, weights: Path) -> Looker:
        """The second look itself."""
        if kind == "blazepose":
            from pose_detector.blazepose import BlazePose

            return BlazePose(weights, self.config.threads or 2)
        from main.device import network_type, prepare_device
        from pose_detector.person_network import Bundled, load

        device = prepare_device(self.config.device, self.config.threads)
        return Bundled(load(weights), device, network_type(device, self.config.precision))
