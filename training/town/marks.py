"""What lies on the streets: surfaces, painted marks, covers, repairs."""

from __future__ import annotations

import numpy as np

from training.town import kinds as k
from training.town.shapes import Array, Soup, one_view
from training.town.streets import MOUTH, Street


def pave(soup: Soup, streets: list[Street]) -> None:
    """Add verge, pavement, kerb and asphalt of every street."""
    for st in streets:
        length = st.line.length
        for side, sign in ((0, 1.0), (1, -1.0)):
            h, v, o = st.half(side), st.verge[side], st.outer(side)
            if v > 0:
                soup.add(st.line.strip(0, length, sign * h, sign * (h + v)), k.GRASS, k.L_PAVEMENT)
            if st.pavement[side] > 0:
                pavement = st.line.strip(0, length, sign * (h + v), sign * o)
                soup.add(pavement, st.paved, k.L_PAVEMENT)
        soup.add(st.line.strip(0, length, -st.half(1) - 0.16, st.half(0) + 0.16), k.KERB, k.L_KERB)
        soup.add(st.line.strip(0, length, -st.half(1), st.half(0)), st.surface, k.L_ROAD)


def flare(soup: Soup, streets: list[Street]) -> None:
    """Round the corners where a cross street meets a main one."""
    for st in streets:
        if st.main:
            continue
        for s, way in ((0.0, 1.0), (st.line.length, -1.0)):
            if s not in st.joints:
                continue
            # the mouth is where the main street's kerb lies; the flare reaches 3-4 m further
            along = s + way * (np.array([4.0, 6.5, 8.0, 9.5, 11.0]) + (st.mouth(s) - MOUTH))
            wide = np.array([6.0, 3.2, 1.5, 0.6, 0.0])
            if st.line.length < 30:
                continue
            left = st.line.offset(along, st.half(0) + wide)
            right = st.line.offset(along, -st.half(1) - wide)
            soup.add(np.concatenate([left, right[::-1]]), st.surface, k.L_ROAD)


class Painter:
    """Adds marks of one street; ``share`` of them is seen in one view only."""

    def __init__(self, soup: Soup, rng: np.random.Generator, street: Street, share: float) -> None:
        self.soup, self.rng, self.street, self.share = soup, rng, street, share
        self.hand = 1.0

    def free(self, s: Array, gap: float) -> Array:
        """Keep the arc lengths that are at least ``gap`` metres from every junction and end."""
        s = s[(s > 2) & (s < self.street.line.length - 2)]
        return s[self.street.clear(s, gap)]

    def put(
        self,
        s: Array,
        length: Array | float,
        lateral: Array | float,
        width: Array | float,
        kind: int,
        layer: int = k.L_MARK,
    ) -> None:
        """Add a rectangle centred at each (s, lateral)."""
        if len(s):
            quads = self.street.line.quads(s, length, lateral, width)
            self.soup.add_all(quads, kind, layer, one_view(self.rng, len(s), self.share))

    def centre_line(self) -> None:
        """Dashes whose period changes every few tens of metres, with bare and solid stretches."""
        s, rng = 0.0, self.rng
        while s < self.street.line.length:
            run = rng.uniform(18, 60)
            style = rng.choice(4, p=[0.66, 0.14, 0.06, 0.14])
            period = rng.uniform(2.5, 11.0)
            stop = min(s + run, self.street.line.length)
            if style == 0:
                dash = self.free(np.arange(s, stop, period), 9)
                self.put(dash, period * rng.uniform(0.3, 0.65), rng.normal(0, 0.06), 0.14, k.MARK)
            elif style == 1:
                self.put(self.free(np.arange(s + 2, stop, 4.0), 9), 4.05, 0.0, 0.13, k.MARK)
            elif style == 2:
                solid = self.free(np.arange(s + 2, stop, 4.0), 9)
                for lateral in (-0.13, 0.13):
                    self.put(solid, 4.05, lateral, 0.1, k.MARK)
            s = stop

    def edges(self) -> None:
        """Lines along the kerb or the parking strip, in stretches."""
        for side, sign in ((0, 1.0), (1, -1.0)):
            s = 0.0
            while s < self.street.line.length:
                run = self.rng.uniform(15, 55)
                stop = min(s + run, self.street.line.length)
                draw = self.rng.random()
                pieces = self.free(np.arange(s + 1.5, stop, 3.0), 8)
                if draw < 0.2:
                    self.put(pieces, 3.05, sign * (self.street.half(side) - 0.3), 0.11, k.YELLOW)
                elif draw < 0.4 or self.street.parking[side] > 0 and draw < 0.5:
                    self.put(pieces, 3.05, sign * (self.street.carriage(side) - 0.1), 0.12, k.MARK)
                s = stop

    def bays(self) -> None:
        """Ticks between parking bays, and build-outs where parking pauses."""
        st, rng = self.street, self.rng
        for side, sign in ((0, 1.0), (1, -1.0)):
            if st.parking[side] == 0:
                continue
            if rng.random() < 0.7:
                s = 4.0 + np.cumsum(rng.uniform(4.6, 7.5, int(st.line.length / 4)))
                s = self.free(s, 10)
                middle = sign * (st.kerbside(side) + st.parking[side] / 2)
                self.put(s, 0.12, middle, st.parking[side], k.MARK)
            near = [j + d for j in st.joints for d in (-11.0, 11.0)]
            mid = rng.uniform(0, st.line.length, int(st.line.length / 45)).tolist()
            for s0 in near + mid:
                half = rng.uniform(1.5, 5.0)
                a, b = max(1.0, s0 - half), min(st.line.length - 1, s0 + half)
                if b - a < 1.5 or len(self.free(np.array([a, s0, b]), 7)) < 3:
                    continue
                low, high = sign * (st.kerbside(side) + 0.15), sign * (st.half(side) + 0.2)
                self.soup.add(
                    st.line.strip(a, b, sign * st.kerbside(side), high), k.KERB, k.L_BUILDOUT
                )
                kind = k.GRASS if rng.random() < 0.35 else k.PAVEMENT
                self.soup.add(st.line.strip(a + 0.15, b - 0.15, low, high), kind, k.L_BUILDOUT)

    def repairs(self) -> None:
        """Covers, drains, patches of newer asphalt, trenches."""
        st, rng = self.street, self.rng
        wide = st.half(0) + st.half(1)
        n = max(1, int(st.line.length / 9))
        s = rng.uniform(0, st.line.length, n)
        lateral = rng.uniform(-st.half(1) + 0.5, st.half(0) - 0.5, n)
        size = rng.uniform(0.55, 0.95, n)
        self.put(s, size, lateral, size, k.COVER)
        for side, sign in ((0, 1.0), (1, -1.0)):
            s = np.cumsum(rng.uniform(9, 24, int(st.line.length / 9) + 1))
            self.put(s[s < st.line.length], 0.6, sign * (st.half(side) - 0.25), 0.45, k.COVER)
        n = max(1, int(st.line.length / 16))
        s = rng.uniform(0, st.line.length, n)
        self.put(
            s,
            rng.uniform(0.8, 9, n),
            rng.uniform(-st.half(1) + 1, st.half(0) - 1, n),
            rng.uniform(0.6, 2.2, n),
            k.PATCH,
            k.L_PATCH,
        )
        n = max(1, int(st.line.length / 40))
        s = rng.uniform(0, st.line.length, n)
        self.put(
            s, rng.uniform(0.5, 0.9, n), (st.half(0) - st.half(1)) / 2, wide, k.PATCH, k.L_PATCH
        )

    def zebra(self, s: float) -> None:
        """A crossing at ``s``: bars of a period of its own across the whole road."""
        st, rng = self.street, self.rng
        period = rng.uniform(0.9, 1.4)
        lateral = np.arange(-st.half(1) + 0.4, st.half(0) - 0.3, period)
        length = rng.uniform(2.2, 4.2)
        if rng.random() < 0.3:  # two lines instead of bars
            self.put(
                np.array([s - length / 2, s + length / 2]),
                0.25,
                (st.half(0) - st.half(1)) / 2,
                st.half(0) + st.half(1) - 0.3,
                k.MARK,
            )
            return
        quads = st.line.quads(np.full(len(lateral), s), length, lateral, period * 0.5)
        seen = int(one_view(rng, 1, self.share * 0.7)[0])
        each = one_view(rng, len(quads), self.share * 0.4)
        self.soup.add_all(quads, k.MARK, k.L_MARK, seen if seen else each)

    def arrow(self, s: float, way: float) -> None:
        """A lane arrow pointing along ``way`` (+1 with the line) on the lane of that direction."""
        st = self.street
        lateral = -way * self.hand * st.lane / 2
        shape = np.array(
            [[-2, -0.09], [0.6, -0.09], [0.6, -0.38], [2, 0], [0.6, 0.38], [0.6, 0.09], [-2, 0.09]]
        )
        if self.rng.random() < 0.5:  # a bend to one side
            shape = np.array(
                [
                    [-2, -0.09],
                    [0.3, -0.09],
                    [0.9, 0.35],
                    [1.2, 0.1],
                    [1.5, 1.0],
                    [0.4, 0.9],
                    [0.7, 0.6],
                    [0.2, 0.09],
                    [-2, 0.09],
                ]
            )
        p, t = st.line.at([s])
        c = t[0] * way
        axes = np.array([c, [-c[1], c[0]]])
        centre = st.line.offset([s], lateral)[0]
        seen = int(one_view(self.rng, 1, self.share)[0])
        self.soup.add(centre + shape @ axes, k.MARK, k.L_MARK, seen)

    def junctions(self) -> None:
        """Stop lines, teeth, arrows and crossings where this street meets others."""
        st, rng = self.street, self.rng
        for j in st.joints:
            if not st.main:
                way = 1.0 if j > st.line.length / 2 else -1.0  # traffic towards the junction
                s = j - way * rng.uniform(6.5, 8.5)
                lateral = -way * self.hand * st.lane / 2
                style = rng.integers(3)
                if style == 0:
                    self.put(np.array([s]), 0.4, lateral, st.lane - 0.3, k.MARK)
                elif style == 1:
                    teeth = lateral + np.arange(-st.lane / 2 + 0.3, st.lane / 2, 0.6)
                    quads = st.line.quads(np.full(len(teeth), s), 0.6, teeth, 0.35)
                    self.soup.add_all(quads, k.MARK, k.L_MARK, int(one_view(rng, 1, self.share)[0]))
                if rng.random() < 0.4:
                    self.zebra(s - way * rng.uniform(2.5, 4.5))
                if rng.random() < 0.35:
                    self.arrow(s - way * rng.uniform(9, 16), way)
            else:
                for way in (1.0, -1.0):
                    draw = rng.random()
                    s = j - way * rng.uniform(8, 12)
                    if draw < 0.3 and 3 < s < st.line.length - 3:
                        self.zebra(s)
                    elif draw < 0.6 and 6 < s - way * 8 < st.line.length - 6:
                        self.arrow(s - way * rng.uniform(2, 10), way)

    def extras(self) -> None:
        """Mid-block crossings, bus stops, humps, hatched boxes."""
        st, rng = self.street, self.rng
        for _ in range(int(st.line.length / 70) + 1):
            s = rng.uniform(10, max(11, st.line.length - 10))
            if len(self.free(np.array([s]), 14)) == 0:
                continue
            draw = rng.random()
            if draw < 0.3:
                self.zebra(s)
            elif draw < 0.5:
                full = (st.half(0) - st.half(1)) / 2
                self.soup.add_all(
                    st.line.quads([s], 3.2, full, st.half(0) + st.half(1)), k.PATCH, k.L_PATCH
                )
                teeth = np.arange(-st.lane + 0.5, st.lane, 0.9)
                for d in (-1.4, 1.4):
                    self.put(np.full(len(teeth), s + d), 0.9, teeth, 0.4, k.MARK)
            elif draw < 0.75:
                side = int(rng.integers(2))
                sign = 1.0 - 2.0 * side
                low, high = sign * (st.half(side) - 2.6), sign * (st.half(side) - 0.25)
                kind = k.YELLOW if rng.random() < 0.5 else k.MARK
                for a, b in ((low, low + 0.15 * sign), (high - 0.15 * sign, high)):
                    self.soup.add(st.line.strip(s - 6, s + 6, a, b), kind, k.L_MARK)
                self.put(np.array([s - 6, s + 6]), 0.15, (low + high) / 2, 2.4, kind)


def paint(
    soup: Soup, rng: np.random.Generator, streets: list[Street], share: float, hand: float
) -> None:
    """Paint every street. ``hand`` is +1 where traffic keeps right, -1 where it keeps left."""
    for street in streets:
        painter = Painter(soup, rng, street, share)
        painter.hand = hand
        painter.repairs()
        painter.bays()
        if street.main or rng.random() < 0.5:
            painter.centre_line()
        painter.edges()
        painter.junctions()
        painter.extras()
