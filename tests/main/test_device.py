"""Which device and number format: GPUs that are not here are faked."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from main import device, distributed, losses
from main.losses import box_mean
from main.networks.discriminator import Discriminator
from main.networks.generator import Generator
from main.networks.labels import draw_skeleton
from pose_detector.errors import InputError

CPU = torch.device("cpu")


class FakeGPU:
    """torch as on a computer with a GPU that `works`, or fails in a trial, and has `bfloat16` or not."""

    def __init__(self, monkeypatch, works=True, bfloat16=True, count=1):
        self.chosen = []
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "set_device", self.chosen.append)
        monkeypatch.setattr(torch.cuda, "device", lambda _: torch.no_grad())
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported", lambda including_emulation=True: bfloat16 or including_emulation
        )

        def trial(place):
            if place.type == "cuda" and not works:
                raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nmore")

        monkeypatch.setattr(device, "try_out", trial)


def test_auto_takes_a_gpu_that_computes(monkeypatch):
    FakeGPU(monkeypatch)
    assert device.choose_device("auto").type == "cuda"


def test_a_card_too_old_for_this_torch_is_told_and_the_cpu_taken(monkeypatch, capsys):
    FakeGPU(monkeypatch, works=False)
    assert device.choose_device("auto") == CPU
    assert "no kernel image" in capsys.readouterr().err
    with pytest.raises(InputError, match="--device cpu"):
        device.choose_device("cuda")


@pytest.mark.parametrize(("built_for", "words"), [(None, "built without CUDA"), ("13.0", "driver for CUDA 13.0")])
def test_a_card_that_torch_cannot_use_is_told(monkeypatch, capsys, built_for, words):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", built_for)
    monkeypatch.setattr(device.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    assert device.choose_device("auto") == CPU
    assert device.choose_device("auto") == CPU
    message = capsys.readouterr().err
    assert words in message and len(message.splitlines()) == 1, "told once"
    monkeypatch.setattr(device.shutil, "which", lambda name: None)
    device.choose_device("auto")
    assert not capsys.readouterr().err


def test_the_trial_runs_here_and_unknown_devices_are_refused():
    device.try_out(CPU)
    for name in ("abacus", "meta:x"):
        with pytest.raises(InputError, match="cannot be used"):
            device.choose_device(name)


def test_bfloat16_where_the_device_has_it_never_by_emulation(monkeypatch):
    gpu = torch.device("cuda")
    FakeGPU(monkeypatch, bfloat16=True)
    assert device.network_type(gpu) == torch.bfloat16
    FakeGPU(monkeypatch, bfloat16=False)  # Turing: emulation alone
    assert device.network_type(gpu) == torch.float32
    assert device.network_type(torch.device("mps")) == torch.float32


@pytest.mark.parametrize(
    ("able", "dtype"),
    [
        ({"amx_bf16": True, "avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": False, "avx512_bf16": True}, torch.float32),
        ({"bf16": True}, torch.float32),
    ],
)
def test_a_cpu_computes_in_bfloat16_by_tiles_only(monkeypatch, able, dtype):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert device.network_type(CPU) == dtype
    assert (
        device.network_type(CPU, "bfloat16") == torch.bfloat16 and device.network_type(CPU, "float32") == torch.float32
    )


def test_forward_type_concerns_convolutions_alone():
    picture, kernel = torch.rand(1, 3, 8, 8), torch.rand(3, 3, 3, 3)
    for dtype in (torch.float32, torch.bfloat16):
        with device.forward_type(CPU, dtype):
            assert F.conv2d(picture, kernel).dtype == dtype
            assert (picture * picture).dtype == torch.float32
    network = device.convert_convolutions(nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)), torch.bfloat16)
    assert network[0].weight.dtype == torch.bfloat16 and network[1].weight.dtype == torch.float32


def test_every_process_takes_a_gpu_of_its_own_before_it_touches_any(monkeypatch):
    gpu = FakeGPU(monkeypatch, count=2)
    monkeypatch.setattr(distributed.dist, "init_process_group", lambda kind, timeout: gpu.chosen.append(kind))
    monkeypatch.setattr(distributed.dist, "get_rank", lambda: 1)
    monkeypatch.setattr(distributed.dist, "destroy_process_group", lambda: None)
    monkeypatch.setattr(distributed.dist, "is_nccl_available", lambda: False)  # Windows
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with distributed.join("auto") as (group, place):
        assert place == torch.device("cuda:1") and group.rank == group.local == 1
    assert gpu.chosen == [1, "gloo"]
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(InputError, match="2 GPUs"), distributed.join("auto"):
        pass


@pytest.mark.parametrize(("size", "stride"), [(7, 1), (2, 1), (25, 5)])
def test_box_means_are_those_of_average_pooling(size, stride):
    x = torch.rand(2, 3, 40, 56, requires_grad=True)
    wanted = F.avg_pool2d(x, size, stride)
    torch.testing.assert_close(box_mean(x, size, stride), wanted)
    seed = torch.rand_like(wanted)
    ours, theirs = (torch.autograd.grad(y, x, seed)[0] for y in (box_mean(x, size, stride), wanted))
    torch.testing.assert_close(ours, theirs)


class Sendings(TorchDispatchMode):
    """Notes what has to be sent to a device: tensors of the CPU, and indices that an earlier round did not have."""

    def __init__(self):
        super().__init__()
        self.found, self.kept = [], {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        tensors = [x for x in torch.utils._pytree.tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        if any(x.device.type == "cpu" and x.dim() for x in tensors):
            self.found.append(str(function))
        if any(x.dtype == torch.float64 for x in tensors):  # MPS has none
            self.found.append("float64")
        if function is torch.ops.aten.index.Tensor:
            for index in (i for i in args[1] if i is not None and id(i) not in self.kept):
                self.kept[id(index)] = index
                self.found.append("a new index")
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_step_sends_nothing_to_the_device_but_its_batch(dtype, monkeypatch):
    """On a device without memory: shapes and places are real, numbers are not. A GPU would wait for each sending."""
    place = torch.device("meta")
    generator, judge = Generator(16, 2, 4).to(place), Discriminator(9, 4, 2).to(place)
    keypoints = torch.empty(2, 18, 3, device=place)
    references, plate = torch.empty(2, 2, 4, 64, 64, device=place), torch.empty(2, 3, 64, 64, device=place)

    def loss():
        with device.forward_type(place, dtype):
            rendering = generator(keypoints, references, plate, plate)
            skeleton = draw_skeleton(keypoints, (64, 64))
            judged = [judge(torch.cat([skeleton, p, plate], 1)) for p in (plate, rendering.picture)]
        fake = rendering.picture
        assert fake.dtype == rendering.weights.dtype == torch.float32
        return (
            (losses.pixel_weights(keypoints, plate, plate) * (fake - plate)).mean()
            + losses.preview_loss(rendering.previews, plate)
            + losses.adversarial_loss(judged[1])
            + losses.feature_matching_loss(*judged)
            + losses.ssim_loss(fake, plate)
            + losses.detail_loss(fake, plate)
        )

    with Sendings() as sendings:
        loss()  # makes what stays there
        sendings.found.clear()
        monkeypatch.setattr(torch, "tensor", lambda *_, **__: pytest.fail("numbers are sent again"))
        total = loss()
        total.backward()
    assert not sendings.found and total.dtype == torch.float32
    assert all(p.grad is not None for p in generator.parameters())
