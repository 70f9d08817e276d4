"""Colour of every pixel: ground, surfaces, sky."""

# mypy: allow-untyped-defs, allow-incomplete-defs
# Compiled by numba, which takes its types from the arguments.
from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from training.town.columns import ground_distance
from training.town.kinds import BOX, CAR, CROWN, FENCE, GLASSHOUSE, HEDGE, ROOF, TRUNK, WALL

SKY, GROUND = -1, -2


class Lens(NamedTuple):
    """Where pixels look: focal length and middle in pixels, rotation to the levelled frame."""

    panorama: bool
    focal: float
    cu: float
    cv: float
    rotation: NDArray[Any]


class Place(NamedTuple):
    """Where the camera is: yaw in ``map``, and metres."""

    yaw: float
    x: float
    y: float
    z: float


class Met(NamedTuple):
    """What each column of directions meets, nearest first; of ``full`` columns around, from az0."""

    az0: float
    full: int
    counts: NDArray[Any]
    hits: NDArray[Any]
    kinds: NDArray[Any]
    tangents: NDArray[Any]
    distances: NDArray[Any]


class Look(NamedTuple):
    """What things look like: the trees, all styles, the ground's paint in three resolutions and its
    shadows (``half`` metres to each side), the noise, the day's colours and light, and the stones
    that ground is laid from, by its roughness.
    """

    trees: NDArray[Any]
    tree_style: NDArray[Any]
    styles: NDArray[Any]
    layers: tuple[NDArray[Any], ...]
    shadow: NDArray[Any]
    half: float
    tile: NDArray[Any]
    day: NDArray[Any]
    laid: NDArray[Any]


@njit(cache=True, inline="always")
def _noise(tile, u, v):
    return tile[int(math.floor(v)) & 511, int(math.floor(u)) & 511]


@njit(cache=True, error_model="numpy", fastmath={"contract", "arcp", "nsz"})
def _hash(a, b, c):
    h = (int(a) * 73856093) ^ (int(b) * 19349663) ^ (int(c) * 83492791)
    h = (h ^ (h >> 13)) * 1274126177
    return ((h ^ (h >> 16)) & 1023) / 1023.0


@njit(cache=True, error_model="numpy", fastmath={"contract", "arcp", "nsz"})
def _facade(u, z, top, style, tile, texel, out):
    """Colour of a wall ``u`` metres along it and ``z`` above its foot."""
    storey, period, share, brick, salt = style[3], style[4], style[5], style[6], style[7]
    gain = 1.0
    if texel < 0.25:
        gain += 0.05 * _noise(tile, u * 12 + salt, z * 12)
        if brick > 1:
            gain *= _clad(brick, u, z, texel, salt)
        elif brick > 0 and texel < 0.1:
            row = math.floor(z / 0.16)
            if z / 0.16 - row < 0.16 or (u / 0.3 + 0.5 * (row % 2)) % 1.0 < 0.08:
                gain *= 0.85
    gain *= 1 + 0.05 * _noise(tile, u * 1.5 + 3 * salt, z * 1.2)
    for m in range(3):
        out[m] = style[m] * gain
    floor = math.floor(z / storey)
    fz = z / storey - floor
    place = (u + 0.37 * salt) / period
    column = math.floor(place)
    fu = abs(place - column - 0.5)
    if z > top - 0.5 or z < 0.15:
        for m in range(3):
            out[m] *= 0.82
        return
    if floor == 0 and _hash(column, 7, salt) < 0.22:
        if fu * period < 0.55 and fz < 0.76:
            tone = _hash(column, 3, salt)
            out[0], out[1], out[2] = (
                30 + 120 * tone,
                30 + 70 * _hash(column, 5, salt),
                25 + 90 * (1 - tone),
            )
            return
    if fu < share / 2 and 0.3 < fz < 0.82 and top - z > 0.3:
        if fu > share / 2 - 0.05 or fz < 0.34 or fz > 0.78:
            for m in range(3):
                out[m] = 0.4 * out[m] + 125
        else:
            tone = 22 + 85 * _hash(column, floor, salt) ** 2
            out[0], out[1], out[2] = tone * 0.9, tone, tone * 1.12


@njit(cache=True, error_model="numpy", fastmath={"contract", "arcp", "nsz"})
def _surface(kind, u, z, z0, z1, style, tile, texel, out):
    """Colour of anything that stands up but walls and crowns."""
    gain = 1.0
    if kind == HEDGE:
        gain = (
            0.8
            + 0.25 * (z - z0) / (z1 - z0 + 0.01)
            + 0.22 * _noise(tile, u * 14 + style[7], z * 14)
        )
    elif kind == FENCE:
        gain = 0.75 if (u * 6.5) % 1.0 < 0.15 else 1.0 + 0.05 * _noise(tile, u * 9 + style[7], z)
    elif kind == ROOF:
        gain = 0.92 + 0.08 * ((z * 4) % 1.0) + 0.06 * _noise(tile, u * 3 + style[7], z * 9)
    elif kind == BOX:
        gain = 1.0 + 0.06 * _noise(tile, u * 9 + style[7], z * 9)
    elif kind == TRUNK:
        for m in range(3):
            out[m] = (62.0, 52.0, 42.0)[m] * (
                0.85 + 0.1 * _noise(tile, z * 9 + style[7], 3.0 + style[7])
            )
        return
    for m in range(3):
        out[m] = style[m] * gain


@njit(cache=True, error_model="numpy", fastmath={"contract", "arcp", "nsz"})
def _car(u, z, z0, z1, style, out):
    """A car's side or end; u carries 100 on its long sides."""
    for m in range(3):
        out[m] = style[m]
    long_side = u > 50
    along = u - 100 if long_side else u
    part = (z - z0) / (z1 - z0)
    if long_side and part < 0.5 and 0.9 < abs(along) < 1.65 and z1 - z0 > 0.55:
        for m in range(3):
            out[m] = 22.0
    elif not long_side and part < 0.35:
        for m in range(3):
            out[m] *= 0.5
    elif not long_side and 0.55 < part < 0.8 and 0.5 < abs(along) < 0.8:
        out[0], out[1], out[2] = 190.0, 150.0, 140.0


@njit(cache=True, error_model="numpy", fastmath={"contract", "arcp", "nsz"})
def _glass(u, z, z0, z1, style, out):
    """A car's cabin or a shelter: dark panes below a coloured roof."""
    part = (z - z0) / (z1 - z0)
    along = u - 100 if u > 50 else u
    pane = part < 0.84 and abs(along) > 0.05
    for m in range(3):
        out[m] = 28.0 + 30.0 * part + 6 * m if pane else style[m]


@njit(cache=True, error_model="numpy", fastmath={"contract", "arcp", "nsz"})
def _texel(level, half, gsd, x, y, out):
    """Add one bilinear sample of the painted ground to out (4,)."""
    n = level.shape[0]
    u = min(max((x + half) / gsd - 0.5, 0.0), n - 1.001)
    v = min(max((y + half) / gsd - 0.5, 0.0), n - 1.001)
    j, i = int(u), int(v)
    a, b = u - j, v - i
    for m in range(4):
        low = level[i, j, m] * (1 - a) + level[i, j + 1, m] * a
        high = level[i + 1, j, m] * (1 - a) + level[i + 1, j + 1, m] * a
        out[m] += low * (1 - b) + high * b


@njit(cache=True, error_model="numpy", fastmath={"contract", "arcp", "nsz"})
def _ground(x, y, c, s, along, across, layers, shadow, half, tile, dark, out):
    """Colour of the ground at (x, y); along and across: the pixel's footprint, metres."""
    fine, middle, coarse = layers
    taps = 1 if along < 0.2 else (2 if along < 0.6 else 3)
    size = max(across, along / taps)
    r0 = r1 = r2 = r3 = 0.0
    shade = 0.0
    for tap in range(taps):
        o = ((tap + 0.5) / taps - 0.5) * along
        px, py = x + o * c, y + o * s
        out[0] = out[1] = out[2] = out[3] = 0.0
        if size < 0.22:
            _texel(fine, half, 0.1, px, py, out)
        elif size < 0.9:
            _texel(middle, half, 0.4, px, py, out)
        else:
            _texel(coarse, half, 1.6, px, py, out)
        r0 += out[0]
        r1 += out[1]
        r2 += out[2]
        r3 += out[3]
        n = shadow.shape[0]
        su = min(max(int((px + half) * n / (2 * half)), 0), n - 1)
        sv = min(max(int((py + half) * n / (2 * half)), 0), n - 1)
        shade += shadow[sv, su]
    rough = r3 / taps / 255.0
    gain = 1.0 + 0.25 * rough * _noise(tile, x * 3.1, y * 3.1)
    if size < 0.3:
        gain += rough * 0.5 * _noise(tile, x * 37, y * 37) * (1 - size / 0.3)
    gain *= (1 + 0.06 * _noise(tile, x * 0.9 + 99, y * 0.9)) * (1 - shade / taps / 255.0 * dark)
    out[0], out[1], out[2] = r0 / taps * gain, r1 / taps * gain, r2 / taps * gain


@njit(cache=True, error_model="numpy", fastmath={"contract", "arcp", "nsz"})
def _stones(x, y, size, paint, half, laid):
    """Gain of the stones and joints at (x, y), fading where they are as small as the pixel."""
    n = paint.shape[0]
    j = min(max(int((x + half) / 0.1), 0), n - 1)
    i = min(max(int((y + half) / 0.1), 0), n - 1)
    length, width, shift, joint, contrast, c, s = laid[paint[i, j, 3]][:7]
    if length <= 0 or size > 0.7 * width:
        return 1.0
    p, q = (c * x + s * y) / length, (c * y - s * x) / width
    row = math.floor(q)
    p += shift * (row % 2)
    column = math.floor(p)
    edge = min(min(p - column, column + 1 - p) * length, min(q - row, row + 1 - q) * width)
    fade = 1 - size / (0.7 * width)
    gain = 1 + contrast * fade * (_hash(column, row, 5) - 0.5)
    wide = max(joint, 0.5 * size)
    if edge < wide:
        gain -= 1.6 * contrast * fade * joint / wide
    return gain


@njit(cache=True, error_model="numpy", fastmath={"contract", "arcp", "nsz"})
def _clad(cladding, u, z, texel, salt):
    """Gain of boards or panels on a facade, ``u`` metres along it and ``z`` above its foot."""
    if cladding == 2:
        return 0.86 if texel < 0.1 and (z / 0.2) % 1.0 < 0.2 else 1.0
    if cladding == 3:
        gain = 0.94 + 0.12 * _hash(math.floor(u / 1.2), math.floor(z / 1.6), salt)
        if texel < 0.2 and ((u / 1.2) % 1.0 < 0.05 or (z / 1.6) % 1.0 < 0.04):
            gain *= 0.8
        return gain
    return 1.0


@njit(cache=True, error_model="numpy", fastmath={"contract", "arcp", "nsz"})
def _sky(az, t, day, tile, out):
    """Sky above, hazy silhouettes on the horizon; day holds the frame's colours."""
    line = 0.035 + day[12] * (0.5 + 0.3 * _noise(tile, az * 40 + day[13], 5.0 + day[13]))
    if t < line:
        for m in range(3):
            out[m] = day[6 + m] * (0.9 + 0.1 * _noise(tile, az * 160, t * 160))
        return
    w = min(1.0, t / 0.9)
    cloud = 0.0
    v = 60.0 / (t + 0.25)
    cloud = (
        _noise(tile, az * 50 + day[13], v) * 0.5
        + 0.5 * _noise(tile, az * 22 + day[13], v * 0.5)
        + day[9]
    )
    cloud = min(1.0, max(0.0, cloud))
    for m in range(3):
        blue = day[m] * w + day[3 + m] * (1 - w)
        out[m] = blue * (1 - cloud) + day[10] * cloud


@njit(cache=True, error_model="numpy", fastmath={"contract", "arcp", "nsz"})
def _walk(j, t, dg, cz, count, hits, kinds, trees, tile, spread):
    """Index of column j's nearest surface at tangent t before dg, and whether its top; or -1."""
    for n in range(count[j]):
        d = hits[j, n, 0]
        if d > dg:
            return -1, False
        z = cz + t * d
        z0, z1 = hits[j, n, 2], hits[j, n, 3]
        if z > z1:
            if z1 < cz and hits[j, n, 1] > d and cz + t * hits[j, n, 1] <= z1:
                return n, True
            continue
        if z < z0:
            continue
        if kinds[j, n, 0] == CROWN:
            i = kinds[j, n, 1]
            off = hits[j, n, 4]
            mid = (z0 + z1) / 2
            up = (z - mid) / (hits[j, n, 5] + 1e-6)
            edge = off * off + up * up * (1 - off * off)
            grain = _noise(tile, (off * trees[i, 2] + i * 7.3) * 9, z * 9 + i * 31)
            if edge + 0.32 * grain > 0.62 + 0.45 * trees[i, 7]:
                continue
        return n, False
    return -1, False


# Inlined from here to `shade`: handing arrays over for every pixel cost a tenth of the time.
@njit(cache=True, inline="always")
def _ray(panorama, focal, cu, cv, turn, u, v, w, h):
    """Direction of a pixel in the levelled frame, and the angle that it covers, radians."""
    if panorama:
        a = -2 * math.pi * (u - cu) / w
        e = math.pi / 2 - math.pi * (v + 0.5) / h
        ox, oy, oz = -math.sin(a) * math.cos(e), -math.sin(e), math.cos(a) * math.cos(e)
        pixel = 2 * math.pi / w
    else:
        ox, oy, oz = (u - cu) / focal, (v - cv) / focal, 1.0
        pixel = 1.0 / focal
    x = turn[0, 0] * ox + turn[0, 1] * oy + turn[0, 2] * oz
    y = turn[1, 0] * ox + turn[1, 1] * oy + turn[1, 2] * oz
    z = turn[2, 0] * ox + turn[2, 1] * oy + turn[2, 2] * oz
    return x, y, z, pixel


@njit(cache=True, inline="always")
def _column(az, az0, full, columns):
    """Which of the columns looks along an azimuth, or the nearer one of the first and the last."""
    j = int(math.floor((az0 - az) / (2 * math.pi / full))) % full
    if j >= columns:
        j = columns - 1 if j < columns + (full - columns) // 2 else 0
    return j


@njit(cache=True, inline="always")
def _crown(hits, j, n, i, z, trees, style, tile, out):
    """Colour of a tree's crown at height z, which has its own light and shade."""
    up = (z - (hits[j, n, 2] + hits[j, n, 3]) / 2) / (hits[j, n, 5] + 1e-6)
    grain = _noise(tile, (hits[j, n, 4] * trees[i, 2] + i * 7.3) * 13, z * 13 + i * 17)
    gain = 0.75 + 0.25 * up + 0.2 * grain
    for m in range(3):
        out[m] = style[m] * gain


@njit(cache=True, inline="always")
def _solid(kind, hits, j, n, on_top, z, texel, style, tile, day, out):
    """Colour of anything that stands up but a crown, at height z, in the day's light."""
    z0, z1, along, lit = hits[j, n, 2], hits[j, n, 3], hits[j, n, 4], hits[j, n, 5]
    if kind == WALL:
        base = z0 + 1.0
        _facade(along, z - base, z1 - base, style, tile, texel, out)
    elif kind == CAR:
        _car(along, z, z0, z1, style, out)
    elif kind == GLASSHOUSE:
        _glass(along, z, z0, z1, style, out)
    else:
        _surface(kind, along, z, z0, z1, style, tile, texel, out)
    if on_top:
        for m in range(3):
            out[m] = min(255.0, style[m] * 1.05)
        lit = day[16]
    gain = 1 - 0.28 * day[14] + 0.55 * day[14] * max(0.0, lit)
    for m in range(3):
        out[m] *= gain


@njit(cache=True, inline="always")
def _through_air(kind, az, t, d, day, tile, out):
    """The sky's colour, or what is seen in the day's haze."""
    if kind == SKY:
        _sky(az, t, day, tile, out)
        return
    haze = 1 - math.exp(-d * day[11])
    for m in range(3):
        out[m] = out[m] * (1 - haze) + day[3 + m] * haze


@njit(cache=True, error_model="numpy", fastmath={"contract", "arcp", "nsz"})
def shade(lens, place, met, look, image, truth):
    """Fill image (h, w, 3) and, where it has rows, truth (h, w, 4): x, y, z, kind; float32.

    Args:
        lens: a `Lens`; place: a `Place`; met: a `Met`; look: a `Look`.
    """
    h, w = image.shape[0], image.shape[1]
    yaw, cx, cy, cz = place
    az0, full, count, hits, kinds, tangents, distances = met
    trees, tree_style, styles, layers, shadow, half, tile, day, laid = look
    panorama, focal, cu, cv, turn = lens
    columns = count.shape[0]
    out = np.zeros(4)
    for v in range(h):
        for u in range(w):
            x, y, z, pixel = _ray(panorama, focal, cu, cv, turn, u, v, w, h)
            t = z / (math.sqrt(x * x + y * y) + 1e-9)
            az = yaw + math.atan2(y, x)
            j = _column(az, az0, full, columns)
            dg = ground_distance(tangents, distances, j, t)
            n, on_top = _walk(j, t, dg, cz, count, hits, kinds, trees, tile, pixel)
            c, s = math.cos(az), math.sin(az)
            kind, d = SKY, 1e9
            if n >= 0:
                d, kind, i = hits[j, n, 0], kinds[j, n, 0], kinds[j, n, 1]
                height = cz + t * d
                if kind == CROWN:
                    _crown(hits, j, n, i, height, trees, styles[tree_style[i]], tile, out)
                else:
                    texel = d * pixel
                    _solid(kind, hits, j, n, on_top, height, texel, styles[i], tile, day, out)
            elif dg < 1e8:
                kind, d = GROUND, dg
                x, y, dark = cx + d * c, cy + d * s, day[14] * 0.6
                along = min(d * d / max(0.6, cz - day[15]) * pixel, 6.0)
                _ground(x, y, c, s, along, d * pixel, layers, shadow, half, tile, dark, out)
                if laid.shape[0] > 0 and d < 40:
                    gain = _stones(x, y, max(d * pixel, along / 3), layers[0], half, laid)
                    for m in range(3):
                        out[m] *= gain
            _through_air(kind, az, t, d, day, tile, out)
            for m in range(3):
                image[v, u, m] = out[m]
            if truth.shape[0] > 0:
                truth[v, u, 0] = cx + d * c
                truth[v, u, 1] = cy + d * s
                truth[v, u, 2] = cz + t * d
                truth[v, u, 3] = kind
