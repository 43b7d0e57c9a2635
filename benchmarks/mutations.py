"""Seeded damage to files: of any kind by bytes, and of arrays, checkpoints, pictures, poses and settings by meaning."""

from __future__ import annotations

import io
import json
import pickle
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch

from main.config import Config

EXTREMES = [0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
NUMBERS = [float("nan"), float("inf"), -float("inf"), 1e30, -1e30, 1e38, -1.0, 0.0, 1e-30, 1e5]


class Payload:
    """Would make a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


# ---- Bytes -----------------------------------------------------------------------------------------------------------


def damage_bytes(content: bytes, rng: random.Random) -> bytes:
    """Bit flips, cuts, blocks lost, doubled or swapped, and extreme numbers where a head may hold sizes."""
    data = bytearray(content)
    size = max(len(data), 1)
    # Heads and directories stand at the ends.
    reach = rng.choice([size, min(size, 64), min(size, 512), min(size, 4096)])
    at = rng.randrange(reach) if rng.random() < 0.7 else size - 1 - rng.randrange(reach)
    kind = rng.choice(["flip", "flip", "cut", "zero", "double", "swap", "extreme", "extreme", "insert", "tag", "other"])
    length = rng.choice([1, 4, 16, 256, 4096])
    if kind == "flip":
        for _ in range(rng.choice([1, 1, 3, 30])):
            place = min(size - 1, max(0, at + rng.randint(-8, 8)))
            data[place : place + 1] = bytes([data[place] ^ 1 << rng.randrange(8)])
    elif kind == "cut":
        del data[rng.randrange(size) :]
    elif kind == "zero":
        data[at : at + length] = bytes(len(data[at : at + length]))
    elif kind == "double":
        data[at:at] = data[at : at + length]
    elif kind == "swap":
        other = rng.randrange(size)
        data[at : at + length], data[other : other + length] = data[other : other + length], data[at : at + length]
    elif kind == "extreme":
        _write_extreme(data, at, rng)
    elif kind == "insert":
        data[at:at] = rng.randbytes(length)
    elif kind == "tag":  # numbers behind a word of four letters, as in mp4 and AVI
        words = [i for i in range(0, size - 4) if data[i : i + 4].isalpha()][:2000]
        if words:
            _write_extreme(data, rng.choice(words) + 4 + rng.randrange(40), rng)
    else:
        return rng.choice([b"", b"\0" * 1000, b"<html>not found</html>", rng.randbytes(2000), content * 2])
    return bytes(data)


def _write_extreme(data: bytearray, at: int, rng: random.Random) -> None:
    value, order = rng.choice(EXTREMES), rng.choice(["little", "big"])
    width = rng.choice([4, 4, 8])
    data[at : at + width] = (value * (1 if width == 4 else 0x100000001)).to_bytes(width, order)


# ---- Arrays ----------------------------------------------------------------------------------------------------------


def damage_arrays(content: bytes, rng: random.Random, executed: Path) -> bytes:
    """An .npz file whose fields are missing, swapped, of another kind or shape, without sense, or pickled."""
    with np.load(io.BytesIO(content)) as archive:
        arrays = {name: archive[name] for name in archive.files}
    name = rng.choice(sorted(arrays))
    value = arrays[name]
    kind = rng.choice(["drop", "swap", "kind", "shape", "value", "value", "value", "rows", "pickle", "lie", "bomb"])
    if kind == "drop":
        del arrays[name]
    elif kind == "swap":
        other = rng.choice(sorted(arrays))
        arrays[name], arrays[other] = arrays[other], value
    elif kind == "kind":
        arrays[name] = _as_kind(value, rng.choice(["f8", "f4", "i4", "u1", "c8", "U9", "S3", ">f4", "M8[s]", "?"]))
    elif kind == "shape":
        arrays[name] = rng.choice(
            [value[..., None], value.ravel()[:0], value.ravel(), np.array([value, value]), value.T]
        )
    elif kind == "value":
        arrays[name] = _spoil(value, rng)
    elif kind == "rows":  # all that count frames, cut alike
        count = rng.choice([0, 1, 2, 3])
        total = len(arrays["times"])
        arrays = {n: a[:count] if a.ndim and len(a) == total else a for n, a in arrays.items()}
        arrays["total_frames"] = np.array(count)
    elif kind == "pickle":
        arrays[name] = np.array([Payload(executed)], dtype=object)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    if kind == "lie":
        return _lying(arrays, name, rng)
    return _bomb(name, rng) if kind == "bomb" else buffer.getvalue()


def _as_kind(value: np.ndarray, kind: str) -> np.ndarray:
    try:
        return value.astype(kind)
    except (ValueError, TypeError):
        return np.zeros(value.shape, kind)


def _spoil(value: np.ndarray, rng: random.Random) -> np.ndarray:
    spoilt = value.copy()
    flat = spoilt.reshape(-1)
    number = rng.choice(NUMBERS)
    where = np.arange(len(flat)) % rng.choice([1, 2, 7, 50]) == 0
    if value.dtype.kind == "U":
        return np.array(rng.choice(["", "\n\x1b[31m", "x" * 10000, "../../../outside", "\ud800"]))
    if value.dtype.kind == "f":
        flat[where] = flat[where] * number if rng.random() < 0.3 else number
    elif value.dtype.kind in "iu":
        flat[where] = np.array(rng.choice([0, -1, 2**31 - 1, -(2**31), 255])).astype(value.dtype)
    else:
        flat[where] = ~flat[where]
    return spoilt


def _lying(arrays: dict[str, np.ndarray], name: str, rng: random.Random) -> bytes:
    """An array's head announces more than is there."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, value in arrays.items():
            entry = io.BytesIO()
            np.save(entry, value)
            data = entry.getvalue()
            if key == name:
                shape = rng.choice([(10**12,), (2**62, 4), (10**5, 10**5), (-1,), (0, 10**18)])
                head = f"{{'descr': '{value.dtype.str}', 'fortran_order': False, 'shape': {shape}, }}".encode()
                data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head) + 1) + head + b"\n" + data[-64:]
            archive.writestr(f"{key}.npy", data)
    return buffer.getvalue()


def _bomb(name: str, rng: random.Random) -> bytes:
    """Zeros that unpack to much more than they are, or that the directory tells to be few."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
            np.lib.format.write_array_header_1_0(entry, {"descr": "<f8", "fortran_order": False, "shape": (40 << 20,)})
            for _ in range(320):
                entry.write(bytes(1 << 20))
    data = bytearray(buffer.getvalue())
    if rng.random() < 0.5:  # the size in the directory's record
        at = data.rfind(b"PK\x01\x02")
        data[at + 24 : at + 28] = struct.pack("<I", 100)
    return bytes(data)


# ---- Checkpoints and weights -----------------------------------------------------------------------------------------


def damage_tensors(content: bytes, rng: random.Random, executed: Path) -> bytes:
    """A file of torch.save whose values are missing, of another kind or shape, without sense, or code."""
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    holders = _holders(state)
    holder = rng.choice(holders)
    key = rng.choice(list(holder))
    value = holder[key]
    kind = rng.choice(["drop", "swap", "value", "value", "value", "rename", "code", "code", "bomb", "deep", "legacy"])
    if kind == "drop":
        del holder[key]
    elif kind == "swap":
        other = rng.choice((rng.choice(holders).__class__ is dict and list(holder)) or list(holder))
        holder[key], holder[other] = holder[other], value
    elif kind == "value":
        holder[key] = _other_tensor(value, rng) if isinstance(value, torch.Tensor) else _other_value(rng)
    elif kind == "rename":
        holder[rng.choice(["x\ny", 7, "", "x" * 5000, "../../outside"])] = holder.pop(key)
    elif kind == "code":
        holder[key] = Payload(executed)
        if rng.random() < 0.5:
            return pickle.dumps(state, protocol=2)
    elif kind == "deep":
        for _ in range(200):
            state = rng.choice([[state], {"state_dict": state}, (state, state)])
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=kind != "legacy")
    if kind == "legacy":
        return damage_bytes(buffer.getvalue(), rng)
    return _packed(buffer.getvalue()) if kind == "bomb" else buffer.getvalue()


def _holders(state: object) -> list[dict]:
    found, waiting = [], [state]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            found += [item] if item else []
            waiting += item.values()
    return found


def _other_tensor(value: torch.Tensor, rng: random.Random) -> object:
    floating = value.float()
    return rng.choice([
        floating * float("nan"), floating * 1e30, floating + float("inf"), value[..., None], value.flatten()[:0],
        torch.zeros(1).expand(10**6, 10**6), value.to(torch.complex64), value.to(torch.uint8), value.double(),
        floating.to_sparse(), torch.zeros(3, device="meta"), value.tolist() if value.numel() < 100 else None, -floating,
        floating * 0,
    ])  # fmt: skip


def _other_value(rng: random.Random) -> object:
    return rng.choice([
        None, -1, 0, 10**6, 10**9, 2**63, 10**400, float("nan"), float("inf"), -1.5, "", "x" * 10**5, "high", [], {},
        (), True, torch.zeros(2), [[[]]],
    ])  # fmt: skip


def _packed(content: bytes) -> bytes:
    """The same archive, with an entry that unpacks to much more than it is."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        for entry in old.infolist():
            data = old.read(entry)
            if entry.filename.endswith("data/0"):
                new.writestr(entry.filename, bytes(400 << 20), zipfile.ZIP_DEFLATED)
            else:
                new.writestr(entry.filename, data, zipfile.ZIP_STORED)
    return buffer.getvalue()


# ---- Pictures --------------------------------------------------------------------------------------------------------


def damage_picture(content: bytes, rng: random.Random) -> bytes:
    """A PNG or JPEG of another size, depth or kind, or whose head announces another size."""
    import cv2

    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    kind = rng.choice(["size", "depth", "format", "head", "head"])
    if kind == "size":
        return cv2.imencode(".png", cv2.resize(picture, rng.choice([(1, 1), (33, 7), (3000, 2)])))[1].tobytes()
    if kind == "depth":
        return cv2.imencode(".png", picture.astype(np.uint16) * 257)[1].tobytes()
    if kind == "format":
        return cv2.imencode(rng.choice([".bmp", ".webp", ".tiff"]), picture)[1].tobytes()
    width, height = rng.choice(
        [(2**31 - 1, 2**31 - 1), (60000, 60000), (0, 0), (20000, 20000), (8000, 4000), (161, 97)]
    )
    if content[:4] == b"\x89PNG":
        head = b"IHDR" + struct.pack(">II", width, height) + content[24:29]
        return content[:12] + head + struct.pack(">I", zlib.crc32(head)) + content[33:]
    at = max(content.find(b"\xff\xc0"), content.find(b"\xff\xc2"))
    return content[: at + 5] + struct.pack(">HH", height % 65536, width % 65536) + content[at + 9 :]


# ---- Poses -----------------------------------------------------------------------------------------------------------


def damage_poses(content: bytes, rng: random.Random) -> bytes:
    """A JSON file of OpenPose's with values of another kind, too many, too deep, or too far."""
    frame = json.loads(content)
    kind = rng.choice(["number", "number", "number", "count", "crowd", "deep", "canvas", "key", "list", "digits"])
    if not frame["people"]:
        frame["people"] = [{"pose_keypoints_2d": [1.0] * 54}]
    values = frame["people"][0]["pose_keypoints_2d"]
    if kind == "number":
        for i in range(rng.randrange(3), len(values), rng.choice([1, 3, 20])):
            values[i] = rng.choice([*NUMBERS, 10**400, "7", None, [], {}, True, -(10**18)])
    elif kind == "count":
        frame["people"][0]["pose_keypoints_2d"] = rng.choice(
            [values[:53], values * 2, values[:3], values * 10000, 5, {}]
        )
    elif kind == "crowd":
        frame["people"] *= rng.choice([2, 150, 20000])
    elif kind == "deep":
        return b"[" * 200_000 + rng.choice([b"", b"]" * 200_000])
    elif kind == "canvas":
        frame["canvas_width"] = rng.choice([*NUMBERS, 10**400, [1], "9", None])
        frame["canvas_height"] = rng.choice([96, 10**400, None])
    elif kind == "key":
        frame["people"] = rng.choice([None, 5, [5], {}, [{}], [[]], "people", [{"pose_keypoints_2d": None}]])
    elif kind == "list":
        return json.dumps([frame] * rng.choice([0, 2, 1000])).encode()
    else:
        return b'{"people": [{"pose_keypoints_2d": [' + b"9" * 10_000 + b"]}]}"
    return json.dumps(frame).encode()


# ---- Settings --------------------------------------------------------------------------------------------------------

WORDS = [
    "", "nan", "inf", "-inf", "-1", "0", "1", "2", "0.5", "1e308", "1e-308", "99999999999999999999", "None", "True",
    "high", "../../outside/x", "/dev/null", "/dev/zero", "/dev/null/x", "/", ".", "a\nb", "%s", "x" * 5000, "a:b",
    "\u821e", "cuda:99", "meta", "openpose", "bundled", "blazepose", "global", "float32", "33", "1 nan", "1 2 3 0.5",
]  # fmt: skip


def hostile_setting(rng: random.Random) -> list[str]:
    """One or two settings that mostly make no sense. The workspace and the videos' places stay."""
    names = [f.name for f in fields(Config) if f.name not in ("workspace", "mode")]
    words: list[str] = []
    for _ in range(rng.choice([1, 1, 2])):
        name, value = rng.choice(names), rng.choice(WORDS)
        if rng.random() < 0.05:
            name = rng.choice(["", "x", "workspace", "--", "no-preview"])
            value = rng.choice(["/dev/null", "/dev/null/x", "/proc/x", "x" * 300])
        words += [f"--{name}", *value.split(" ")] if " " in value else [f"--{name}={value}"]
    return words


Damage = Callable[[bytes, random.Random], bytes]
