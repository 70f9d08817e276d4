"""Marks of roads with any number of lanes, by a convention: what town-v1's painter has not."""

from __future__ import annotations

import numpy as np

from training.town import kinds as k
from training.town import symbols
from training.town.conventions import Convention
from training.town.marks import Painter
from training.town.shapes import Array, Soup, one_view
from training.town.streets import MOUTH, Street
from training.town.tram import lay_islands, lay_rails, stretches

SIDES = ((0, 1.0), (1, -1.0))


class LanePainter(Painter):
    """Paints one street by ``convention``."""

    def __init__(
        self,
        soup: Soup,
        rng: np.random.Generator,
        street: Street,
        share: float,
        convention: Convention,
    ) -> None:
        super().__init__(soup, rng, street, share)
        self.convention = convention

    def line(self, lateral: float, kind: int, style: int, gap: float = 9.0) -> None:
        """Draw dashes (0), a solid line (1) or two (2) along the street, in stretches."""
        rng, own = self.rng, self.convention
        s, length = 0.0, self.street.line.length
        while s < length:
            stop = min(s + rng.uniform(18, 60), length)
            width = rng.uniform(*own.lane_width)
            period = rng.uniform(*own.period)
            if style == 0:
                at = self.free(np.arange(s, stop, period), gap)
                self.put(at, period * rng.uniform(*own.dash), lateral, width, kind)
            else:
                at = self.free(np.arange(s + 2, stop, 4.0), gap)
                for off in (0.0,) if style == 1 else (-0.14, 0.14):
                    self.put(at, 4.05, lateral + off, width, kind)
            s = stop

    def centre_line(self) -> None:
        """What separates the directions: a line, or hatching of a painted median."""
        st, rng, own = self.street, self.rng, self.convention
        if st.median == 0:
            styles = np.array(own.centre_styles)
            if sum(st.lanes) > 2:  # a wide road is never without
                styles[3] = 0
            style = int(rng.choice(4, p=styles / styles.sum()))
            if style < 3:
                self.line(0.0, own.centre, style)
            return
        if st.middle != "painted":
            return
        for a, b in stretches(st, 9.0):
            for sign in (1.0, -1.0):
                seen = int(one_view(rng, 1, self.share)[0])
                low = sign * st.median / 2
                strip = st.line.strip(a, b, low, low - sign * 0.14)
                self.soup.add(strip, own.centre, k.L_MARK, seen)
            s = np.arange(a + 1, b - 1, rng.uniform(1.6, 4.0))
            quads = self.slanted(s, -st.median / 2, st.median / 2, st.median, 0.4)
            self.soup.add_all(quads, own.centre, k.L_MARK, one_view(rng, len(quads), self.share))

    def slanted(self, s: Array, low: float, high: float, shift: float, width: float) -> Array:
        """Return bars (n, 4, 2) from lateral ``low`` at s to ``high`` at s + ``shift``."""
        line = self.street.line
        corners = [
            line.offset(s - width / 2, low),
            line.offset(s + width / 2, low),
            line.offset(s + width / 2 + shift, high),
            line.offset(s - width / 2 + shift, high),
        ]
        out: Array = np.stack(corners, axis=1)
        return out

    def lanes(self) -> None:
        """Lines between lanes of one direction; surfaces and lines of bus and cycle lanes."""
        st, rng, own = self.street, self.rng, self.convention
        for side, sign in SIDES:
            for i in range(1, st.lanes[side]):
                last = i == st.lanes[side] - 1 and st.bus[side]
                self.line(sign * (st.median / 2 + i * st.lane), k.MARK, int(last))
            if st.bus[side]:
                self.band(st.carriage(side) - st.lane, st.carriage(side), sign, k.BUS, 0.5)
            if st.cycle[side] > 0:
                self.band(st.carriage(side), st.kerbside(side), sign, k.CYCLE, 0.55)
                self.line(sign * st.carriage(side), k.MARK, int(rng.random() < 0.6), gap=7.0)
                middle = sign * (st.carriage(side) + st.cycle[side] / 2)
                for s in self.free(np.arange(12, st.line.length, rng.uniform(25, 50)), 8):
                    self.sign(symbols.bicycle(), s, middle, -sign * self.hand)
        if own.edge and rng.random() < own.edge:
            for side, sign in SIDES:
                if st.cycle[side] == 0:
                    self.line(sign * (st.carriage(side) - 0.15), k.MARK, 1, gap=7.5)

    def band(self, low: float, high: float, sign: float, kind: int, chance: float) -> None:
        """Give a lane a surface of its own between the junctions, or none."""
        if self.rng.random() < chance:
            through = self.rng.random() < 0.3
            for a, b in stretches(self.street, 0.0 if through else 6.0):
                strip = self.street.line.strip(a, b, sign * low, sign * high)
                self.soup.add(strip, kind, k.L_ROAD)

    def sign(self, parts: list[Array], s: float, lateral: float, way: float) -> None:
        """Paint a symbol at (s, lateral), read by who drives along ``way``."""
        line = self.street.line
        _, t = line.at([s])
        c = t[0] * way
        axes = np.array([c, [-c[1], c[0]]])
        centre = line.offset([s], lateral)[0]
        seen = int(one_view(self.rng, 1, self.share)[0])
        for part in parts:
            self.soup.add(centre + part @ axes, k.MARK, k.L_MARK, seen)

    def toward(self, way: float) -> tuple[int, float]:
        """Return the side and its sign on which traffic drives along ``way``."""
        sign = -way * self.hand
        return (0 if sign > 0 else 1), sign

    def words(self) -> None:
        """Numbers and words on lanes."""
        st, rng = self.street, self.rng
        count = rng.poisson(self.convention.digits * st.line.length / 100)
        for s in self.free(rng.uniform(0, st.line.length, count), 14):
            way = float(rng.choice([-1, 1]))
            side, sign = self.toward(way)
            if st.lanes[side] == 0:
                continue
            last = st.lanes[side] - 1
            text = "BUS" if st.bus[side] else str(rng.choice(symbols.WORDS))
            self.sign(symbols.word(text, rng.uniform(2, 3.4)), s, sign * st.lane_middle(last), way)

    def arrows(self, joint: float, way: float, start: float) -> None:
        """Turn arrows on every lane before a junction, once or twice."""
        st, rng = self.street, self.rng
        side, sign = self.toward(way)
        count = st.lanes[side]
        for i in range(count):
            inner, outer = i == 0, i == count - 1
            left, right = (inner, outer) if self.hand > 0 else (outer, inner)
            ahead = rng.random() < 0.7 or not (left or right)
            turn = rng.random() < 0.6
            parts = symbols.arrow(left and turn, ahead or not turn, right and turn)
            for s in (start, start + rng.uniform(10, 18)):
                at = joint - way * s
                if 3 < at < st.line.length - 3 and len(self.free(np.array([at]), s - 4)):
                    self.sign(parts, at, sign * st.lane_middle(i), way)

    def stop(self, s: float, way: float) -> None:
        """A stop line, teeth, or a broad line behind a word, across the lanes along ``way``."""
        st, rng = self.street, self.rng
        side, sign = self.toward(way)
        low, high = st.median / 2 + 0.15, st.kerbside(side) - 0.15
        style = int(rng.choice(4, p=self.convention.stop))
        if style in (0, 2):
            wide = rng.uniform(0.3, 0.5) if style == 0 else rng.uniform(0.6, 0.8)
            self.put(np.array([s]), wide, sign * (low + high) / 2, high - low, k.MARK)
        elif style == 1:
            teeth = sign * np.arange(low + 0.15, high, 0.6)
            quads = st.line.quads(np.full(len(teeth), s), 0.6, teeth, 0.35)
            self.soup.add_all(quads, k.MARK, k.L_MARK, int(one_view(rng, 1, self.share)[0]))
        if style == 2 and rng.random() < 0.4 and 6 < s < st.line.length - 6:
            text = symbols.word("STOP", 2.4)
            self.sign(text, s - way * 3.0, sign * st.lane_middle(st.lanes[side] - 1), way)

    def zebra(self, s: float) -> None:
        """A crossing at ``s`` in one of the convention's styles."""
        st, rng, own = self.street, self.rng, self.convention
        style = int(rng.choice(4, p=own.zebra))
        length, full = rng.uniform(2.2, 4.2), st.half(0) + st.half(1)
        if style in (1, 2):
            ends = np.array([s - length / 2, s + length / 2])
            wide = 0.25 if style == 1 else 0.18
            self.put(ends, wide, (st.half(0) - st.half(1)) / 2, full - 0.3, k.MARK)
        if style == 1:
            return
        period = rng.uniform(*own.bar)
        lateral = np.arange(-st.half(1) + 0.4, st.half(0) - 0.3, period)
        if style == 3:
            quads = np.concatenate([self.cross_bar(s, y, length, period) for y in lateral])
        else:
            quads = st.line.quads(np.full(len(lateral), s), length, lateral, period * 0.5)
        seen = int(one_view(rng, 1, self.share * 0.7)[0])
        each = one_view(rng, len(quads), self.share * 0.4)
        self.soup.add_all(quads, k.MARK, k.L_MARK, seen if seen else each)

    def cross_bar(self, s: float, lateral: float, length: float, period: float) -> Array:
        """Return one bar (1, 4, 2) of a crossing that leans to one side along the street."""
        at = np.array([s - length / 2])
        line, half, lean = self.street.line, period * 0.25, length * 0.5
        corners = [
            line.offset(at, lateral - half),
            line.offset(at, lateral + half),
            line.offset(at + length, lateral + half + lean),
            line.offset(at + length, lateral - half + lean),
        ]
        out: Array = np.stack(corners, axis=1)
        return out

    def bays(self) -> None:
        """Ticks and boxes of parked cars, along the kerb or at an angle to it."""
        if not any(self.street.angled):
            super().bays()
            return
        st, rng = self.street, self.rng
        for side, sign in SIDES:
            if st.parking[side] == 0:
                continue
            angle = st.angled[side] or np.pi / 2
            apart = 2.55 / np.sin(angle) if st.angled[side] else rng.uniform(5, 6.5)
            s = self.free(np.arange(4.0, st.line.length, apart), 9)
            low, high = sign * st.kerbside(side), sign * st.half(side)
            shift = abs(high - low) / np.tan(angle)
            quads = self.slanted(s, low, high, shift, 0.12)
            self.soup.add_all(quads, k.MARK, k.L_MARK, one_view(rng, len(quads), self.share))

    def junctions(self) -> None:
        """Stop lines, arrows, crossings and hatched boxes where this street meets others."""
        st, rng, own = self.street, self.rng, self.convention
        for j in st.joints:
            if not st.main and not st.ends[int(j > st.line.length / 2)]:
                continue  # a dead end
            away = st.mouth(j)
            ways = (1.0, -1.0) if st.main else (1.0 if j > st.line.length / 2 else -1.0,)
            giving = not st.main or away > 12  # before a roundabout everybody gives way
            for way in ways:
                s = j - way * (away + rng.uniform(1.0, 2.5))
                if not 3 < s < st.line.length - 3:
                    continue
                if giving:
                    self.stop(s, way)
                crossing = rng.random() < own.crossing
                if crossing:
                    self.zebra(s - way * rng.uniform(2.5, 4.5))
                if rng.random() < own.arrows * (1.0 if sum(st.lanes) > 2 else 0.5):
                    self.arrows(j, way, away + rng.uniform(5, 9) + 5 * crossing)
            if st.main and away < 12 and rng.random() < own.box:
                self.box(j, away)

    def box(self, joint: float, half: float) -> None:
        """Hatch a junction that nobody may stop on."""
        st, rng = self.street, self.rng
        p, t = st.line.at([joint])
        axes = np.array([t[0], [-t[0, 1], t[0, 0]]])
        wide = min(st.kerbside(0), st.kerbside(1)) - 0.2
        seen = int(one_view(rng, 1, self.share)[0])
        for bar in symbols.hatching(half - 0.3, wide, rng.uniform(1.6, 2.6), 0.18, True):
            self.soup.add(p[0] + bar @ axes, self.convention.box_kind, k.L_MARK, seen)

    def edges(self) -> None:
        """Lines for those who may not stop, in stretches along the kerb."""
        st, rng = self.street, self.rng
        for side, sign in SIDES:
            for a, b in stretches(st, MOUTH):
                if st.parking[side] == 0 and rng.random() < 0.25:
                    s = np.arange(a, min(b, a + rng.uniform(15, 60)), 3.0)
                    self.put(s, 3.05, sign * (st.half(side) - 0.3), 0.11, k.YELLOW)


def paint_lanes(
    soup: Soup,
    rng: np.random.Generator,
    streets: list[Street],
    share: float,
    hand: float,
    convention: Convention,
) -> None:
    """Paint every street. ``hand`` is +1 where traffic keeps right, -1 where it keeps left."""
    for street in streets:
        painter = LanePainter(soup, rng, street, share, convention)
        painter.hand = hand
        painter.repairs()
        lay_islands(soup, rng, street)
        lay_rails(soup, rng, street)
        if street.wooded or street.surface != k.ASPHALT:
            if rng.random() < 0.4:
                painter.centre_line()
            continue
        painter.bays()
        painter.lanes()
        if street.main or rng.random() < 0.5:
            painter.centre_line()
        painter.edges()
        painter.junctions()
        painter.words()
        if street.median == 0:
            painter.extras()
