"""The detector's weights: choosing a file, reading it."""

import logging
import os
from pathlib import Path

import torch
from torch import Tensor

from pose_detector.errors import InputError
from pose_detector.model_files import FOLDER, ModelFile, download
from pose_detector.networks import Light, OpenPose, PoseNetwork
from pose_detector.untrusted import finite, load_tensors, read_bytes

BUNDLED = FOLDER / "light.pth"
USERS = "pose_model.pth"  # taken unasked where it lies in the folder

OPENPOSE = ModelFile(
    "body_pose_model.pth",
    "https://huggingface.co/lllyasviel/Annotators/resolve/main/body_pose_model.pth",
    209_267_595,
    "25a948c16078b0f08e236bda51a385d855ef4c153598947c28c0d47ed94bb746",
)

_MOST_REFINEMENTS = 8  # stages; published are 1 to 3
_MOST_WIDTH = 512 * 512 * 9 * 16  # weights of the widest layer, four times as wide as published

log = logging.getLogger(__name__)


def resolve(
    weights: str = "", folder: Path = FOLDER, offline: bool = False, openpose: ModelFile = OPENPOSE
) -> tuple[Path, str]:
    """Choose the weights file.

    Args:
        weights: Path of a .pth or .onnx file; "openpose": the published VGG-19 network, fetched once into the folder;
            "light": the bundled network; "": `pose_model.pth` in the folder if it is there, else the bundled network.
        folder: Where downloaded and own weights lie.
        offline: Never use the network.
        openpose: What "openpose" fetches.

    Returns:
        The path, and in words why it was chosen.

    Raises:
        InputError: There is no such file, or fetching it failed.
    """
    users = folder / USERS
    if weights == "openpose":
        if users.is_file():
            return users, f"openpose weights of your own, {users}"
        path = download(openpose, folder, offline, "take the bundled network (pose_weights light)")
        return path, "openpose weights, fetched once and kept"
    if weights in ("", "light"):
        if users.is_file() and not weights:
            return users, f"it lies in {folder}"
        if not BUNDLED.is_file():
            raise InputError(f"the bundled weights {BUNDLED} are missing: restore the file, or set pose_weights")
        return BUNDLED, "the bundled light network" + ("" if weights else f", as {folder} holds no {USERS}")
    path = Path(weights).expanduser()
    if not path.is_file():
        raise InputError(f"pose_weights: there is no file {weights}; give a .pth or .onnx file, openpose or light")
    return path, "named by pose_weights"


def load_network(path: Path) -> PoseNetwork:
    """Read a network in one of the published layouts; which one, and how wide, is seen from the keys.

    Known are `pose_model.pth` of pytorch_Realtime_Multi-Person_Pose_Estimation, `body_pose_model.pth` of
    pytorch-openpose and the checkpoints of lightweight-human-pose-estimation.pytorch, of any width. Keys may stand
    under `module.`, all of them under `state_dict`. Every key must be there with its shape, and no other.

    Args:
        path: A .pth file. Nothing in it is executed.

    Returns:
        The network on the CPU, float32, in evaluation mode.

    Raises:
        InputError: The file cannot be read or holds something else.
    """
    state = _read_state(path)
    if "conv1_1.weight" in state:
        names = _openpose_names()
        state = {f"{names.get(stem, stem)}.{kind}": value for (stem, _, kind), value in _split(state)}
    with torch.device("meta"):
        if "model0.0.weight" in state:
            network: PoseNetwork = OpenPose()
        elif "model.0.0.weight" in state:
            last = state.get("model.11.3.weight")
            refinements = {key.split(".")[1] for key in state if key.startswith("refinement_stages.")}
            if len(refinements) > _MOST_REFINEMENTS or (last is not None and not 0 < last.numel() <= _MOST_WIDTH):
                raise InputError(f"{path}: not a network known here; it has more stages or channels than any published")
            network = Light(1.0 if last is None else len(last) / 512, len(refinements))
        else:
            known = "model0.0.weight, conv1_1.weight or model.0.0.weight"
            raise InputError(
                f"{path}: not the weights of a network known here (has {next(iter(state))}, needs {known})"
            )
    for key, expected in network.state_dict().items():
        if key.endswith("num_batches_tracked"):
            state.setdefault(key, torch.zeros((), dtype=torch.long))  # older PyTorch did not store it
        if key not in state:
            raise InputError(f"{path}: {key} is missing; the file is incomplete or of another network")
        if state[key].shape != expected.shape:
            shapes = f"{tuple(state[key].shape)}, not {tuple(expected.shape)}"
            raise InputError(f"{path}: {key} has the shape {shapes}; the weights are of another network")
    for key in state:
        if key not in network.state_dict():
            raise InputError(f"{path}: {key} is not known; the weights are of another network")
    if not finite(state):
        raise InputError(f"{path}: holds values that are infinite or NaN; fetch it again")
    network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()}, assign=True)
    return network.requires_grad_(False).eval()


def save_light(path: Path, network: Light) -> None:
    """Write a light network in the published layout, in half precision. The file is replaced whole."""
    state = {k: v.detach().cpu().half() if v.is_floating_point() else v.cpu() for k, v in network.state_dict().items()}
    part = path.with_name(f"{path.stem}.part{path.suffix}")
    torch.save({"state_dict": state}, part)
    os.replace(part, path)


def _read_state(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputError(f"{path}: there is no such weights file")
    try:
        content = load_tensors(read_bytes(path))
    except (OSError, ValueError) as error:
        log.debug("reading %s", path, exc_info=error)
        raise InputError(f"{path}: not a readable weights file, perhaps cut short; fetch it again") from None
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(f"{path}: holds no weights of a network; give a published or self-trained weights file")
    return {str(key).removeprefix("module."): value for key, value in state.items()}


def _split(state: dict[str, Tensor]) -> list[tuple[tuple[str, str, str], Tensor]]:
    return [(key.rpartition("."), value) for key, value in state.items()]


def _openpose_names() -> dict[str, str]:
    """Layer names of pytorch-openpose -> module names of `OpenPose`."""
    names = {}
    index = 0
    for block, layers in enumerate(("1_1 1_2", "2_1 2_2", "3_1 3_2 3_3 3_4", "4_1 4_2 4_3_CPM 4_4_CPM")):
        for layer in layers.split():
            names[f"conv{layer}"] = f"model0.{index}"
            index += 2
        index += block < 3  # pooling
    for branch in (1, 2):
        for i in range(5):
            names[f"conv5_{i + 1}_CPM_L{branch}"] = f"model1_{branch}.{2 * i}"
        for stage in range(2, 7):
            for i in range(7):
                names[f"Mconv{i + 1}_stage{stage}_L{branch}"] = f"model{stage}_{branch}.{2 * i}"
    return names
