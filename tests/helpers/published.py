"""Names and shapes of the parameters in the published weight files."""


def openpose_shapes() -> dict[str, tuple[int, ...]]:
    """Keys and shapes of pose_model.pth, from the paper's description."""
    shapes = {}

    def conv(name: str, outputs: int, inputs: int, kernel: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (outputs, inputs, kernel, kernel), (outputs,)

    inputs = 3
    vgg = {0: 64, 2: 64, 5: 128, 7: 128, 10: 256, 12: 256, 14: 256, 16: 256, 19: 512, 21: 512, 23: 256, 25: 128}
    for index, outputs in vgg.items():
        conv(f"model0.{index}", outputs, inputs, 3)
        inputs = outputs
    for branch, outputs in ((1, 38), (2, 19)):
        for i in range(3):
            conv(f"model1_{branch}.{2 * i}", 128, 128, 3)
        conv(f"model1_{branch}.6", 512, 128, 1)
        conv(f"model1_{branch}.8", outputs, 512, 1)
        for stage in range(2, 7):
            for i in range(5):
                conv(f"model{stage}_{branch}.{2 * i}", 128, 128 if i else 185, 7)
            conv(f"model{stage}_{branch}.10", 128, 128, 1)
            conv(f"model{stage}_{branch}.12", outputs, 128, 1)
    return shapes


def light_shapes() -> dict[str, tuple[int, ...]]:
    """Keys and shapes of checkpoint_iter_370000.pth of lightweight-human-pose-estimation.pytorch."""
    shapes = {}

    def conv(name: str, outputs: int, inputs: int, kernel: int, bias: bool = True) -> None:
        shapes[f"{name}.weight"] = (outputs, inputs, kernel, kernel)
        if bias:
            shapes[f"{name}.bias"] = (outputs,)

    def norm(name: str, width: int) -> None:
        shapes.update({f"{name}.{k}": (width,) for k in ("weight", "bias", "running_mean", "running_var")})
        shapes[f"{name}.num_batches_tracked"] = ()

    conv("model.0.0", 32, 3, 3, bias=False)
    norm("model.0.1", 32)
    widths = [32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512]
    for i in range(1, 12):
        conv(f"model.{i}.0", widths[i - 1], 1, 3, bias=False)
        norm(f"model.{i}.1", widths[i - 1])
        conv(f"model.{i}.3", widths[i], widths[i - 1], 1, bias=False)
        norm(f"model.{i}.4", widths[i])
    conv("cpm.align.0", 128, 512, 1)
    for i in range(3):
        conv(f"cpm.trunk.{i}.0", 128, 1, 3, bias=False)
        conv(f"cpm.trunk.{i}.2", 128, 128, 1, bias=False)
    conv("cpm.conv.0", 128, 128, 3)
    for i in range(3):
        conv(f"initial_stage.trunk.{i}.0", 128, 128, 3)
    for i in range(5):
        block = f"refinement_stages.0.trunk.{i}"
        conv(f"{block}.initial.0", 128, 128 if i else 185, 1)
        for j in range(2):
            conv(f"{block}.trunk.{j}.0", 128, 128, 3)
            norm(f"{block}.trunk.{j}.1", 128)
    for stage, hidden in (("initial_stage", 512), ("refinement_stages.0", 128)):
        for head, outputs in (("heatmaps", 19), ("pafs", 38)):
            conv(f"{stage}.{head}.0.0", hidden, 128, 1)
            conv(f"{stage}.{head}.1.0", outputs, hidden, 1)
    return shapes
