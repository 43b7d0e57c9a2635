"""Colours of video frames: any decoded frame to 8 bit RGB as a BT.709 screen shows it, and RGB to what H.264 stores.

High dynamic range (HLG and PQ) and wide gamuts go through a table of three dimensions, applied by FFmpeg's `lut3d`. Its
content is the chain that players follow: the signal to light (ITU-R BT.2100), primaries to those of BT.709, brightness
compressed by the EETF of ITU-R BT.2390 from 1,000 cd/m2 to the 203 cd/m2 that BT.2408 gives to white, light to the
signal of a BT.1886 screen.
"""

from __future__ import annotations

import functools
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

PEAK = 1000.0  # cd/m2 of the brightest signal: nominal for HLG, the usual mastering screen for PQ
WHITE = 203.0  # cd/m2 of diffuse white, ITU-R BT.2408
_GAMMA = 2.4  # ITU-R BT.1886
_STEPS = 33  # entries of the table along each axis
_BT709_MATRIX = 1  # AVCOL_SPC_BT709 of libavutil/pixfmt.h
_UNSPECIFIED = 2
_BT2020_MATRIX, _BT2020_CONSTANT = 9, 10  # AVCOL_SPC_BT2020_NCL, _CL; swscale knows the first only

# x, y of red, green and blue; white is D65 in all of them.
_PRIMARIES = {
    ColorPrimaries.BT709: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    ColorPrimaries.BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    ColorPrimaries.SMPTE432: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),  # Display P3
}
_D65 = (0.3127, 0.3290)


class ToRgb:
    """Decoded frames to (H, W, 3) uint8 RGB with the primaries and the gamma of BT.709.

    Untagged frames count as BT.709 when of high definition and as BT.601 below, as in players. Not to be shared between
    threads: it keeps its tables.
    """

    def __init__(self) -> None:
        self._tables: dict[tuple, _Table] = {}

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        matrix = frame.colorspace
        if matrix in (0, _UNSPECIFIED):
            high = frame.width >= 1280 or frame.height > 576
            matrix = Colorspace.ITU709 if high else Colorspace.ITU601
        elif matrix == _BT2020_CONSTANT:
            matrix = _BT2020_MATRIX
        transfer = frame.color_trc if frame.color_trc in (ColorTrc.ARIB_STD_B67, ColorTrc.SMPTE2084) else None
        wide = frame.color_primaries in (ColorPrimaries.BT2020, ColorPrimaries.SMPTE432)
        if transfer is None and not wide:
            return frame.reformat(format="rgb24", src_colorspace=int(matrix)).to_ndarray()
        key = frame.width, frame.height, transfer, frame.color_primaries if wide else int(ColorPrimaries.BT709)
        if key not in self._tables:
            self._tables[key] = _Table(*key)
        return self._tables[key](frame.reformat(format="gbrp12le", src_colorspace=int(matrix)))


def to_yuv(frame: np.ndarray, form: str = "yuv420p") -> av.VideoFrame:
    """(H, W, 3) uint8 RGB as YUV of BT.709, limited range, in this pixel format; an odd side grows by one pixel."""
    height, width = frame.shape[:2]
    if height % 2 or width % 2:
        frame = cv2.copyMakeBorder(frame, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
    return picture.reformat(
        format=form,
        src_colorspace=Colorspace.ITU709,
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        interpolation="AREA",
    )


def tag(context: av.VideoCodecContext, form: str = "yuv420p") -> None:
    """Say in a stream that its frames are those of `to_yuv`; without these tags players guess, and colours shift."""
    context.pix_fmt = form
    context.colorspace = _BT709_MATRIX
    context.color_primaries = ColorPrimaries.BT709
    context.color_trc = ColorTrc.BT709
    context.color_range = ColorRange.MPEG


# ---- From high range to BT.709 ---------------------------------------------------------------------------------------


def tone_map(signal: np.ndarray, transfer: int | None, primaries: int) -> np.ndarray:
    """R'G'B' of a wide gamut or high range to R'G'B' of BT.709.

    Args:
        signal: (..., 3) in 0..1, as stored.
        transfer: ColorTrc.ARIB_STD_B67 (HLG), SMPTE2084 (PQ); None: an ordinary screen's.
        primaries: ColorPrimaries.BT709, BT2020 or SMPTE432 (Display P3).

    Returns:
        (..., 3) in 0..1.
    """
    xyz = _rgb_to_xyz(primaries)
    if transfer == ColorTrc.ARIB_STD_B67:
        scene = _hlg_to_scene(signal)
        luminance = scene @ xyz[1]
        # BT.2100, table 5: the OOTF with the gamma of a screen of 1,000 cd/m2.
        light = PEAK * scene * np.maximum(luminance, 1e-12)[..., None] ** 0.2
    elif transfer == ColorTrc.SMPTE2084:
        light = _pq_to_light(signal)
    else:
        light = WHITE * signal**_GAMMA
    light = light @ (np.linalg.inv(_rgb_to_xyz(int(ColorPrimaries.BT709))) @ xyz).T
    # Colours that BT.709 does not have: towards grey of the same luminance until no part is negative.
    grey = np.maximum(light @ _rgb_to_xyz(int(ColorPrimaries.BT709))[1], 1e-12)[..., None]
    least = light.min(-1, keepdims=True)
    light = grey + (light - grey) * np.where(least < 0, grey / np.maximum(grey - least, 1e-12), 1)
    if transfer is not None:
        # One factor for all three, by the strongest: hue and saturation stay.
        strongest = np.maximum(light.max(-1, keepdims=True), 1e-12)
        light = light * (_compress(strongest) / strongest)
    return np.clip(light / WHITE, 0, 1) ** (1 / _GAMMA)


def _hlg_to_scene(signal: np.ndarray) -> np.ndarray:
    """Inverse of the HLG OETF, ITU-R BT.2100 table 5: scene light in 0..1."""
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128  # constants of ITU-R BT.2100, table 4
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def _pq_to_light(signal: np.ndarray) -> np.ndarray:
    """The PQ EOTF, ITU-R BT.2100 table 4: cd/m2."""
    power = signal ** (1 / _M2)
    return 10_000 * (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)


def _light_to_pq(light: np.ndarray | float) -> np.ndarray:
    power = (np.asarray(light) / 10_000) ** _M1
    return ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2


def _compress(light: np.ndarray) -> np.ndarray:
    """The EETF of ITU-R BT.2390, section 5.4.1: cd/m2 up to PEAK to cd/m2 up to WHITE; what is dark stays as it is."""
    top = _light_to_pq(PEAK)
    value = np.minimum(_light_to_pq(light) / top, 1)
    goal = _light_to_pq(WHITE) / top
    knee = 1.5 * goal - 0.5
    t = np.maximum(value - knee, 0) / (1 - knee)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * goal
    return _pq_to_light(np.where(value < knee, value, spline) * top)


@functools.cache
def _rgb_to_xyz(primaries: int) -> np.ndarray:
    """(3, 3) from linear RGB to XYZ (SMPTE RP 177); the middle row gives the luminance."""
    corners = np.array([(x / y, 1, (1 - x - y) / y) for x, y in _PRIMARIES[ColorPrimaries(primaries)]]).T
    x, y = _D65
    return corners * np.linalg.solve(corners, np.array([x / y, 1, (1 - x - y) / y]))


class _Table:
    """FFmpeg's `lut3d` with the table of one kind of signal: gbrp12 frames of one size to RGB pictures."""

    def __init__(self, width: int, height: int, transfer: int | None, primaries: int) -> None:
        axis = np.linspace(0, 1, _STEPS)
        blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")  # a .cube file counts red fastest
        table = tone_map(np.stack([red, green, blue], -1).reshape(-1, 3), transfer, primaries)
        with tempfile.TemporaryDirectory() as folder:
            cube = Path(folder) / "table.cube"
            rows = "\n".join(f"{r:.6f} {g:.6f} {b:.6f}" for r, g, b in table.tolist())
            cube.write_text(f"LUT_3D_SIZE {_STEPS}\n{rows}\n", encoding="ascii")
            graph = av.filter.Graph()
            source = graph.add_buffer(
                width=width, height=height, format=av.VideoFormat("gbrp12le"), time_base=Fraction(1, 1000)
            )
            lut = graph.add("lut3d", file=str(cube))
            form = graph.add("format", "rgb24")
            graph.link_nodes(source, lut, form, graph.add("buffersink")).configure()
        self._graph = graph

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        self._graph.push(frame)
        return self._graph.pull().to_ndarray()
