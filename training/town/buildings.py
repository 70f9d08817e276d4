"""What stands along the streets: buildings, gardens, drives, hedges, parking lots, parks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from training.town import kinds as k
from training.town.house_rules import HouseRules
from training.town.occupancy import Occupancy
from training.town.open_ground import fill_interiors, forest, square
from training.town.shapes import BOTH, Array, Soup, one_view, rectangle, rectangles
from training.town.streets import Street


@dataclass
class Built:
    """Everything that ``develop`` put along the streets.

    Attributes:
        blocks: rows (x, y, yaw, length, width, eave height, ridge height, style) of building parts;
            the ridge runs along the length; flat where both heights agree.
        rails: rows (x, y, yaw, length, width, height, kind) of hedges, fences, walls, sheds.
        rail_seen: who sees each.
        lots: parking lots as rows (x, y, yaw, length, width).
        slots: rows (x, y, yaw) of places for parked cars off the street.
        greens: rows (x, y, reach) of places for garden and park trees.
        roads: which ground is asphalt.
    """

    blocks: list[tuple[float, ...]] = field(default_factory=list)
    rails: list[tuple[float, ...]] = field(default_factory=list)
    rail_seen: list[int] = field(default_factory=list)
    lots: list[tuple[float, ...]] = field(default_factory=list)
    slots: list[tuple[float, ...]] = field(default_factory=list)
    greens: list[tuple[float, float, float]] = field(default_factory=list)
    roads: Occupancy | None = None


class Side:
    """Walks along one side of one street and develops parcels."""

    def __init__(
        self,
        soup: Soup,
        rng: np.random.Generator,
        street: Street,
        side: int,
        taken: Occupancy,
        out: Built,
        share: float,
        rules: HouseRules,
    ) -> None:
        self.soup, self.rng, self.street, self.taken, self.out = soup, rng, street, taken, out
        self.rules = rules
        self.sign = 1.0 if side == 0 else -1.0
        self.edge = street.outer(side)
        self.kerb = street.half(side)
        self.share = share

    def place(self, s: float, lateral: float) -> tuple[Array, float]:
        """Return the point beside the street and the street's yaw there."""
        p, t = self.street.line.at([s])
        left = np.array([-t[0, 1], t[0, 0]])
        return p[0] + left * self.sign * lateral, float(np.arctan2(t[0, 1], t[0, 0]))

    def block(
        self,
        s: float,
        lateral: float,
        length: float,
        depth: float,
        heights: tuple[float, float],
        style: int,
    ) -> bool:
        """Add a building part whose front lies at ``lateral`` unless the ground is taken."""
        for back in range(self.rules.tries):
            centre, yaw = self.place(s, lateral + depth / 2 + back)
            shape = rectangle(centre[0], centre[1], yaw, length - 0.2, depth - 0.2)
            if self.taken.free(shape):
                break
        else:
            return False
        self.taken.take(shape)
        turned = (yaw, length, depth)
        if heights[1] > heights[0] and depth > length:  # the ridge runs along the longer side
            turned = (yaw + np.pi / 2, depth, length)
        self.out.blocks.append((centre[0], centre[1], *turned, *heights, float(style)))
        return True

    def wing(
        self, s: float, lateral: float, length: float, depth: float, eave: float, style: int
    ) -> None:
        """An extension behind or beside a building: makes L-shapes."""
        rng = self.rng
        w, d = rng.uniform(3, max(3.5, length * 0.5)), rng.uniform(3, 7)
        side = rng.choice([-1, 1]) * (length - w) / 2
        low = eave if rng.random() < 0.4 else min(eave, rng.uniform(2.6, 3.4))
        self.block(s + side, lateral + depth, w, d, (low, low), style)

    def rail(
        self, s0: float, s1: float, lateral: float, height: float, width: float, kind: int
    ) -> None:
        """Put a hedge, fence or low wall from s0 to s1; who sees it is drawn."""
        if s1 - s0 < 0.8:
            return
        middle, yaw = self.place((s0 + s1) / 2, lateral)
        self.out.rails.append((middle[0], middle[1], yaw, s1 - s0, width, height, float(kind)))
        seen = one_view(self.rng, 1, self.share * 0.4)[0]
        self.out.rail_seen.append(int(seen) if width < 0.5 else BOTH)

    def band(self, s0: float, s1: float, l0: float, l1: float, kind: int, layer: int) -> None:
        """Cover the ground from s0 to s1, l0 to l1 metres beside the centre line."""
        line = self.street.line
        self.soup.add(line.strip(s0, s1, self.sign * l0, self.sign * l1), kind, layer)

    def front(self, s: float, width: float, setback: float, drive: bool) -> None:
        """The front garden: its surface, drive or path, and what bounds it."""
        rng = self.rng
        a, b = s - width / 2, s + width / 2
        if setback > 0.8:
            self.band(
                a,
                b,
                self.edge,
                self.edge + setback,
                int(rng.choice([k.GRASS, k.YARD, k.SOIL, k.BED], p=[0.45, 0.3, 0.13, 0.12])),
                k.L_PARCEL,
            )
        gap0, gap1 = a, a
        if drive:
            w = rng.uniform(2.6, 4.2)
            gap0 = rng.uniform(a, b - w)
            gap1 = gap0 + w
            deep = setback + rng.uniform(0, 3)
            kind = int(rng.choice([k.YARD, k.ASPHALT, k.SOIL]))
            self.band(gap0, gap1, self.edge - 0.05, self.edge + deep, kind, k.L_DRIVE)
            lowered = k.YARD if rng.random() < 0.5 else k.KERB
            self.band(gap0 - 0.3, gap1 + 0.3, self.kerb, self.edge, lowered, k.L_DRIVE)
            if deep > 5:
                p, yaw = self.place((gap0 + gap1) / 2, self.edge + deep / 2)
                self.out.slots.append((p[0], p[1], yaw + np.pi / 2))
        elif setback > 1.5:
            gap0 = rng.uniform(a, b - 1.2)
            gap1 = gap0 + 1.2
            self.band(gap0, gap1, self.edge - 0.05, self.edge + setback, k.YARD, k.L_DRIVE)
        if setback > 1.5 and rng.random() < 0.8:
            kind = int(rng.choice([k.HEDGE, k.FENCE, k.BOX], p=[0.45, 0.3, 0.25]))
            height = rng.uniform(0.7, 1.9) if kind != k.BOX else rng.uniform(0.4, 1.1)
            thick = rng.uniform(0.5, 1.1) if kind == k.HEDGE else 0.15
            for s0, s1 in ((a, gap0), (gap1, b)):
                self.rail(s0 + 0.05, s1 - 0.05, self.edge + thick / 2 + 0.05, height, thick, kind)
            if rng.random() < 0.6:
                p, yaw = self.place(b, self.edge + setback / 2 + 0.3)
                self.out.rails.append(
                    (p[0], p[1], yaw + np.pi / 2, setback - 0.6, thick, height, float(kind))
                )
                self.out.rail_seen.append(BOTH)
        if setback > 3:
            p, _ = self.place(rng.uniform(a, b), self.edge + rng.uniform(1.2, setback - 1))
            self.out.greens.append((p[0], p[1], 0.6))

    def back(self, s: float, width: float, lateral: float) -> None:
        """The garden behind: another surface, a terrace, a fence between neighbours, trees."""
        rng = self.rng
        depth = rng.uniform(5, 14)
        a, b = s - width / 2, s + width / 2
        kind = int(rng.choice([k.GRASS, k.YARD, k.SOIL, k.BED], p=[0.62, 0.16, 0.1, 0.12]))
        self.band(a, b, lateral, lateral + depth, kind, k.L_BASE)
        if rng.random() < 0.5:
            c = rng.uniform(a, b - 3)
            self.band(
                c, c + rng.uniform(2, 4), lateral, lateral + rng.uniform(2, 4), k.YARD, k.L_PARCEL
            )
        p, yaw = self.place(b, lateral + depth / 2)
        if rng.random() < 0.6:
            thick, kind = (0.7, k.HEDGE) if rng.random() < 0.4 else (0.12, k.FENCE)
            self.out.rails.append(
                (p[0], p[1], yaw + np.pi / 2, depth, thick, rng.uniform(1, 1.9), float(kind))
            )
            self.out.rail_seen.append(BOTH)
        p, _ = self.place(s, lateral + rng.uniform(3, depth + 3))
        self.out.greens.append((p[0], p[1], 2.5))
        if rng.random() < 0.35:
            p, yaw = self.place(rng.uniform(a, b), lateral + depth)
            self.out.rails.append(
                (p[0], p[1], yaw, rng.uniform(1.8, 3.5), rng.uniform(1.5, 2.6), 2.2, float(k.BOX))
            )
            self.out.rail_seen.append(BOTH)

    def houses(self, s: float, terrace: bool) -> float:
        """A row of houses that share style, setback and width; returns where it ends."""
        rng, rules, sort = self.rng, self.rules, 0 if terrace else 1
        setback = float(rng.uniform(*rules.setback[sort]))
        width = rng.uniform(*rules.width[sort])
        depth = rng.uniform(*rules.depth)
        floors = rng.integers(*rules.floors[sort])
        eave = float(floors * rng.uniform(2.7, 3.1) + 0.4)
        ridge = eave + rng.uniform(1.8, 3.6) if rng.random() < 0.8 else eave
        style = int(rng.integers(1 << 20))
        for _ in range(int(rng.integers(3, 9))):
            if s + width > self.street.line.length - 3:
                return self.street.line.length
            middle = s + width / 2
            built = width if terrace else width - rng.uniform(2.0, 5.0)
            shift = 0.0 if terrace else rng.uniform(-0.8, 0.8)
            jog = 0.0 if terrace else rng.uniform(-0.7, 1.2)
            own = style if terrace and rng.random() < 0.7 else int(rng.integers(1 << 20))
            lift = float(rng.normal(0, 0.25)) if terrace else float(rng.uniform(-0.4, 1.5))
            if self.block(
                middle + shift,
                self.edge + max(0.05, setback + jog),
                built,
                depth,
                (eave + lift, ridge + lift if ridge > eave else eave + lift),
                own,
            ):
                self.front(middle, width, setback, drive=rng.random() < (0.25 if terrace else 0.75))
                if rng.random() < 0.5:
                    self.wing(middle + shift, self.edge + setback + jog, built, depth, eave, own)
                self.back(middle, width, self.edge + setback + depth)
            s += width
            if rng.random() < 0.08:
                s += rng.uniform(3, 8)
        return s

    def large(self, s: float) -> float:
        """A block of flats, an office or a shop."""
        rng, rules = self.rng, self.rules
        width, depth = rng.uniform(*rules.large_width), rng.uniform(*rules.large_depth)
        setback = float(rng.choice([0.05, rng.uniform(*rules.large_setback)]))
        eave = float(rng.uniform(*rules.large_eave))
        ridge = eave if rng.random() < 0.7 else eave + rng.uniform(2, 4)
        if s + width > self.street.line.length - 3:
            return s + 8
        style = int(rng.integers(1 << 20))
        if self.block(s + width / 2, self.edge + setback, width - 1, depth, (eave, ridge), style):
            self.front(s + width / 2, width, setback, drive=rng.random() < 0.6)
            self.wing(s + width / 2, self.edge + setback, width - 1, depth, eave * 0.7, style)
        return s + width + float(rng.choice([0.0, rng.uniform(2, 8)]))

    def lot(self, s: float) -> float:
        """A parking lot: an entrance, an aisle and bays on both sides."""
        rng = self.rng
        bay, aisle = 5.0, 6.0
        length, depth = rng.uniform(20, 40), 2 * bay + aisle
        if s + length > self.street.line.length - 4:
            return s + 6
        lateral = self.edge + rng.uniform(0.5, 3)
        middle = s + length / 2
        centre, yaw = self.place(middle, lateral + depth / 2)
        shape = rectangle(centre[0], centre[1], yaw, length, depth)
        if not self.taken.free(shape):
            return s + 5
        self.taken.take(shape)
        self.soup.add(
            rectangle(centre[0], centre[1], yaw, length + 0.3, depth + 0.3), k.KERB, k.L_DRIVE
        )
        self.soup.add(shape, k.LOT, k.L_ROAD)
        gate = middle + rng.uniform(-length / 4, length / 4)
        self.band(gate - 3, gate + 3, self.kerb - 0.05, lateral + 0.3, k.LOT, k.L_ROAD)
        self.out.lots.append((centre[0], centre[1], yaw, length, depth))
        self._bays(centre, yaw, (length, depth), (bay, gate - middle))
        return s + length + 2

    def _bays(
        self, centre: Array, yaw: float, size: tuple[float, float], bay: tuple[float, float]
    ) -> None:
        rng = self.rng
        along = np.array([np.cos(yaw), np.sin(yaw)])
        across = np.array([-along[1], along[0]]) * self.sign
        pitch = rng.uniform(2.4, 2.8)
        for row in (-1.0, 1.0):
            offsets = np.arange(-size[0] / 2 + 0.6, size[0] / 2 - pitch, pitch)
            if row < 0:  # the row at the street leaves the entrance free
                offsets = offsets[np.abs(offsets + pitch / 2 - bay[1]) > 4.5]
            middle = across * row * (size[1] / 2 - bay[0] / 2)
            seen = one_view(rng, len(offsets), self.share)
            for o, who in zip(offsets, seen, strict=True):
                p = centre + along * o + middle
                self.soup.add(rectangle(p[0], p[1], yaw, 0.12, bay[0]), k.MARK, k.L_MARK, int(who))
                q = p + along * pitch / 2
                self.out.slots.append((q[0], q[1], yaw + np.pi / 2))

    def green(self, s: float) -> float:
        """A stretch without buildings: grass, trees, a path, perhaps a hedge."""
        rng = self.rng
        length = rng.uniform(15, 45)
        stop = min(s + length, self.street.line.length - 3)
        if stop - s < 8:
            return stop + 3
        depth = rng.uniform(8, 22)
        centre, yaw = self.place((s + stop) / 2, self.edge + depth / 2)
        shape = rectangle(centre[0], centre[1], yaw, stop - s - 1, depth)
        if self.taken.free(shape):
            self.taken.take(shape)
            self.band(s, stop, self.edge, self.edge + depth, k.GRASS, k.L_PARCEL)
            for _ in range(int(rng.integers(0, 3))):
                at = rng.uniform(s, stop - 2)
                self.band(
                    at,
                    at + rng.uniform(1.2, 2.2),
                    self.edge - 0.1,
                    self.edge + depth,
                    k.YARD,
                    k.L_DRIVE,
                )
            for _ in range(int(rng.integers(2, 9))):
                p, _ = self.place(rng.uniform(s + 2, stop - 2), self.edge + rng.uniform(2, depth))
                self.out.greens.append((p[0], p[1], 1.0))
            if rng.random() < 0.5:
                self.rail(s + 1, stop - 1, self.edge + 0.4, rng.uniform(0.8, 1.3), 0.6, k.HEDGE)
        return stop

    def walk(self, mood: Array) -> None:
        """Develop the side; ``mood`` holds the chances of terrace, houses, large, lot, green."""
        s = float(self.rng.uniform(2, 8))
        while s < self.street.line.length - 8:
            if self.street.wooded:
                s = forest(self, s)
                continue
            if self.rules.squares and self.rng.random() < self.rules.squares:
                s = square(self, s)
                continue
            draw = int(self.rng.choice(5, p=mood))
            if draw <= 1:
                s = self.houses(s, terrace=draw == 0)
            elif draw == 2:
                s = self.large(s)
            elif draw == 3:
                s = self.lot(s)
            else:
                s = self.green(s)
            if self.rng.random() < 0.3:
                s += self.rng.uniform(1, 5)


def develop(
    soup: Soup,
    rng: np.random.Generator,
    streets: list[Street],
    half_side: float,
    share: float,
    rules: HouseRules,
    round_roads: Sequence[tuple[Array, Array]] = (),
) -> Built:
    """Fill the blocks between the streets; ``round_roads`` are outlines of (asphalt, all)."""
    out, taken, roads = Built(), Occupancy(half_side), Occupancy(half_side)
    for asphalt, whole in round_roads:
        roads.take(asphalt)
        taken.take(whole)
    for st in streets:
        roads.take(st.line.strip(0, st.line.length, -st.half(1) - 0.2, st.half(0) + 0.2))
        taken.take(st.line.strip(0, st.line.length, -st.outer(1), st.outer(0)))
    mood = rng.dirichlet(rules.mood)
    mood = (mood + np.array([0.02, 0.02, 0.02, 0.07, 0.07])) / 1.2
    order = rng.permutation(len(streets) * 2)
    for i in order:
        side = Side(soup, rng, streets[i // 2], int(i % 2), taken, out, share, rules)
        side.walk(mood)
    if rules.interiors:
        fill_interiors(soup, rng, streets, taken, out, int(rules.interiors * (half_side / 50) ** 2))
    _clear_roads(out, roads)
    return out


def _clear_roads(out: Built, roads: Occupancy) -> None:
    """Drop the hedges and fences that would stand on another street."""
    rows = np.array(out.rails).reshape(-1, 7)
    shapes = rectangles(rows[:, :5])
    keep = [i for i in range(len(rows)) if roads.free(shapes[i])]
    out.rails = [out.rails[i] for i in keep]
    out.rail_seen = [out.rail_seen[i] for i in keep]
    out.roads = roads
