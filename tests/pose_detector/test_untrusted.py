"""Files that others made: nothing of them is run, none takes more memory than it is worth, what is wrong is said."""

import io
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pose_detector import untrusted


class Payload:
    """Would create a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


# ---- Arrays ----------------------------------------------------------------------------------------------------------


def npz(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def npy(shape: tuple, data: bytes, kind: str = "<f8") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})
    return file.getvalue() + data


def test_arrays_come_back_as_they_were(tmp_path):
    wanted = {
        "a": np.arange(12, dtype=np.float32).reshape(3, 4), "b": np.asfortranarray(np.eye(3, 2)), "c": np.array(True),
        "d": np.array("träin"), "e": np.array(""), "f": np.zeros((0, 3), np.int64), "g": np.array([[1, 2]], ">i2"),
    }  # fmt: skip
    np.savez_compressed(tmp_path / "a.npz", **wanted)
    got = untrusted.load_arrays(tmp_path / "a.npz")
    assert got.keys() == wanted.keys()
    for name, value in wanted.items():
        assert got[name].dtype == value.dtype and np.array_equal(got[name], value), name
    got["a"][0] = 1  # may be changed


@pytest.mark.parametrize("shape", [(10**12,), (2**62, 4), (-1,), (0, 10**18), (3,), ()])
def test_an_array_that_announces_another_size_takes_no_memory(tmp_path, shape):
    with pytest.raises(ValueError):
        untrusted.load_arrays(npz(tmp_path / "a.npz", {"a.npy": npy(shape, bytes(16))}))


@pytest.mark.parametrize("kind", ["|O", "|V8", "<M8[s]", "<c16", [("a", "<f4"), ("b", "<f4")]])
def test_only_numbers_and_text(tmp_path, kind):
    with pytest.raises(ValueError, match="numbers or text"):
        untrusted.load_arrays(npz(tmp_path / "a.npz", {"a.npy": npy((1,), bytes(16), kind)}))


def test_a_zip_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(untrusted, "MOST_BYTES", 1 << 20)
    path = npz(tmp_path / "a.npz", {f"{i}.npy": npy((65536,), bytes(1 << 19)) for i in range(3)})
    assert path.stat().st_size < 10_000
    with pytest.raises(ValueError, match="too much"):
        untrusted.load_arrays(path)
    # A directory that tells less than there is: no more is unpacked.
    data = bytearray(npz(path, {"a.npy": npy((1 << 20,), bytes(1 << 23))}).read_bytes())
    at = data.rfind(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 200)
    path.write_bytes(data)
    with pytest.raises(ValueError):
        untrusted.load_arrays(path)


def test_no_object_is_unpickled(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, a=np.array([Payload(tmp_path / "executed")], dtype=object))
    with pytest.raises(ValueError):
        untrusted.load_arrays(path)
    assert not (tmp_path / "executed").exists()


# ---- Tensors ---------------------------------------------------------------------------------------------------------


def saved(content: object, **options) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_tensors_come_back_in_both_formats(new):
    content = {"w": OrderedDict(a=torch.arange(6.0).reshape(2, 3)), "n": [1, 2.5, "x", None, True], 3: (1,)}
    got = untrusted.load_tensors(saved(content, _use_new_zipfile_serialization=new))
    assert torch.equal(got["w"]["a"], content["w"]["a"]) and got["n"] == content["n"] and got[3] == (1,)


@pytest.mark.parametrize(
    "value",
    [
        torch.zeros(1).expand(10**6, 10**6), torch.eye(3).to_sparse(), torch.zeros(2, device="meta"), torch.eye(2) * 1j,
        torch.quantize_per_tensor(torch.eye(2), 0.1, 0, torch.qint8), {(1, 2): 3}, {1, 2}, [0] * 200_000, torch.float32,
    ],
    ids=["large", "sparse", "meta", "complex", "quantized", "key", "set", "many", "dtype"],
)  # fmt: skip
def test_only_plain_values(value):
    with pytest.raises(ValueError):
        untrusted.load_tensors(saved({"a": value}))


def test_a_value_held_a_million_times_over_is_refused_soon():
    nested: object = 1
    for _ in range(60):
        nested = (nested, nested)
    with pytest.raises(ValueError, match="too many"):
        untrusted.load_tensors(saved({"a": nested}))


@pytest.mark.parametrize("write", [saved, pickle.dumps, lambda value: pickle.dumps(value, protocol=2)])
def test_no_code_in_weights_is_run(tmp_path, write):
    with pytest.raises(ValueError):
        untrusted.load_tensors(write({"a": Payload(tmp_path / "executed")}))
    assert not (tmp_path / "executed").exists()


def test_packed_weights_are_not_unpacked():
    old, new = zipfile.ZipFile(io.BytesIO(saved({"a": torch.zeros(9)}))), io.BytesIO()
    with zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in old.infolist():
            archive.writestr(entry.filename, bytes(1 << 22) if entry.filename.endswith("data/0") else old.read(entry))
    with pytest.raises(ValueError, match="more data than it holds"):
        untrusted.load_tensors(new.getvalue())


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda b: b"PK\x03\x04" + b))
def test_any_bytes_are_a_value_error(content):
    with pytest.raises(ValueError):
        untrusted.load_tensors(content)


# ---- Pictures --------------------------------------------------------------------------------------------------------


@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([".png", ".jpg"]), st.booleans())
def test_the_size_that_a_head_tells(width, height, suffix, progressive):
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1] if progressive and suffix == ".jpg" else []
    content = cv2.imencode(suffix, np.zeros((height, width, 3), np.uint8), options)[1].tobytes()
    assert untrusted.picture_size(content) == (width, height)
    for end in range(0, len(content), 7):
        assert untrusted.picture_size(content[:end]) in (None, (width, height))


@pytest.mark.parametrize(
    "content", [b"", b"GIF89a" + bytes(20), b"\xff\xd8" + b"\xff" * 50, b"\xff\xd8\xff\xe0\0\0" * 9]
)
def test_what_is_neither_has_no_size(content):
    assert untrusted.picture_size(content) is None


def test_devices_are_not_read(tmp_path):
    (tmp_path / "a.png").symlink_to(os.devnull)
    with pytest.raises(ValueError):
        untrusted.read_bytes(tmp_path / "a.png")


# ---- Trials ----------------------------------------------------------------------------------------------------------


def trial(code: str, monkeypatch, tmp_path) -> None:
    """A trial in whose process this is run instead."""
    real = subprocess.run

    def run(command, **options):
        return real([sys.executable, "-c", code], **options)

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "run", run)
        untrusted.try_network(tmp_path / "a.onnx")


def test_a_network_that_kills_its_reader_is_told(monkeypatch, tmp_path):
    trial("", monkeypatch, tmp_path)
    with pytest.raises(ValueError, match="crashes"):
        trial("import os; os.abort()", monkeypatch, tmp_path)
    monkeypatch.setattr(untrusted, "TRIAL_SECONDS", 0.5)
    with pytest.raises(ValueError, match="did not end"):
        trial("import time; time.sleep(60)", monkeypatch, tmp_path)


def test_what_is_no_network_passes_the_trial_and_is_refused_after_it(tmp_path):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"\x08\x01" * 50)
    untrusted.try_network(path)
