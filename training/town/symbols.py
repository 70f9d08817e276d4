"""Outlines of what is painted on a lane: arrows, digits and words, bicycles, hatching."""

from __future__ import annotations

import numpy as np

from training.town.shapes import Array

_SHAFT = ([-2.0, -0.09], [-2.0, 0.09])
_AHEAD = np.array(
    [[-2, -0.09], [0.6, -0.09], [0.6, -0.38], [2, 0], [0.6, 0.38], [0.6, 0.09], [-2, 0.09]]
)
_LEFT = np.array(
    [
        [-2, -0.09],
        [0.7, -0.09],
        [1.1, 0.35],
        [1.5, 0.2],
        [1.2, 1.1],
        [0.1, 0.75],
        [0.6, 0.55],
        [0.3, 0.09],
        [-2, 0.09],
    ]
)
# which of the segments top, top right, bottom right, bottom, bottom left, top left, middle
_SEGMENTS = {
    "0": "1111110",
    "2": "1101101",
    "3": "1111001",
    "4": "0110011",
    "5": "1011011",
    "6": "1011111",
    "8": "1111111",
    "B": "1111111",
    "U": "0111110",
    "S": "1011011",
    "T": "0001111",
    "O": "1111110",
    "P": "1100111",
    "L": "0001110",
    "A": "1110111",
}
WORDS = ("20", "30", "40", "50", "60", "80")


def arrow(left: bool, ahead: bool, right: bool) -> list[Array]:
    """Return outlines (n, 2) of a lane arrow 4 m long: x along the lane, y to its left."""
    parts = [_AHEAD] if ahead else []
    parts += [_LEFT] if left else []
    parts += [_LEFT * [1, -1]] if right else []
    return parts


def word(text: str, height: float) -> list[Array]:
    """Return outlines of ``text`` in segments, read along x, ``height`` metres tall."""
    wide, bar, gap = 0.42, 0.11, 0.2
    total = len(text) * wide + (len(text) - 1) * gap
    out = []
    for i, letter in enumerate(text):
        left = total / 2 - i * (wide + gap)  # the first letter is the leftmost
        right, half, thick = left - wide, height / 2, bar * 2.2
        boxes = (
            (half - thick, half, right, left),
            (0, half, right, right + bar),
            (-half, 0, right, right + bar),
            (-half, -half + thick, right, left),
            (-half, 0, left - bar, left),
            (0, half, left - bar, left),
            (-thick / 2, thick / 2, right, left),
        )
        for (x0, x1, y0, y1), on in zip(boxes, _SEGMENTS[letter], strict=True):
            if on == "1":
                out.append(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]))
    return out


def bicycle() -> list[Array]:
    """Return outlines of a bicycle: two wheels and a frame, about 2 m long."""
    angle = np.arange(8) * np.pi / 4
    wheel = 0.33 * np.stack([1.4 * np.cos(angle), np.sin(angle)], axis=1)
    frame = np.array([[-0.7, -0.06], [0.7, -0.06], [0.7, 0.06], [-0.7, 0.06]])
    bar = np.array([[0.5, -0.1], [1.2, 0.25], [1.2, 0.38], [0.5, 0.1]])
    return [wheel - [0.7, 0], wheel + [0.7, 0], frame, bar]


def hatching(half_x: float, half_y: float, period: float, width: float, both: bool) -> list[Array]:
    """Return bars (4, 2) at 45 degrees that fill the rectangle of +-half_x, +-half_y."""
    out = []
    for turn in (1.0, -1.0) if both else (1.0,):
        for c in np.arange(-half_x - half_y + period, half_x + half_y, period):
            x0, x1 = max(-half_x, c - half_y), min(half_x, c + half_y)
            if x1 - x0 > 0.3:  # on the bar x + y = c
                along = np.array([[x0, c - x0], [x1, c - x1]])
                across = np.array([width, width]) / 2 / np.sqrt(2)
                bar = np.concatenate([along - across, (along + across)[::-1]])
                out.append(bar * [1, turn])
    return out
