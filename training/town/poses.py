"""Where the town's camera stands: on the road, and a quarter of the time off it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.town.roundabouts import Roundabout
from training.town.seeds import stream
from training.town.shapes import Array
from training.town.streets import Street
from training.town.world import World

MARGIN = 70.0
KINDS = ("street", "junction", "turn", "car_park", "wrong_lane", "yaw_offset")
CHANCES = (0.75, 0.06, 0.05, 0.04, 0.05, 0.05)
MAX_ATTEMPTS = 3000


@dataclass(frozen=True)
class CameraPose:
    """Where a camera is: metres and radians in the town's ``map``; yaw is its azimuth.

    ``kind`` is one of KINDS.
    """

    x: float
    y: float
    yaw: float
    kind: str


class PoseSampler:
    """Draws camera poses at least MARGIN metres inside the aerial picture."""

    def __init__(self, world: World, reach: float) -> None:
        self.world, self.reach = world, reach
        lengths = []
        for street in world.streets:
            inside = (np.abs(street.line.points) < reach).all(axis=1)
            lengths.append(street.line.length * inside.mean())
        self.weights = np.array(lengths) / max(sum(lengths), 1e-9)
        self.blocks = np.array(world.built.blocks).reshape(-1, 8)

    def _on_lane(
        self, rng: np.random.Generator, street: Street, s: float, wrong: bool
    ) -> tuple[Array, float]:
        way = float(rng.choice([-1, 1]))
        sign = -way * self.world.hand * (-1 if wrong else 1)
        side = 0 if sign > 0 else 1
        lane = int(rng.integers(street.lanes[side])) if street.lanes[side] > 1 else 0
        lateral = sign * street.lane_middle(lane) + rng.normal(0, 0.25)
        p, t = street.line.at([s])
        yaw = float(np.arctan2(t[0, 1], t[0, 0])) + (np.pi if way < 0 else 0)
        return street.line.offset([s], lateral)[0], yaw + rng.normal(0, np.deg2rad(1.5))

    def _ring_at(self, street: Street, s: float) -> Roundabout | None:
        """Return the roundabout whose carriageway the street crosses at ``s``."""
        x, y = street.line.at([s])[0][0]
        near = (
            r for r in self.world.rings if 0 < r.island and np.hypot(x - r.x, y - r.y) < r.outer
        )
        return next(near, None)

    def _around(self, rng: np.random.Generator, ring: Roundabout) -> tuple[Array, float]:
        """Draw a place in a roundabout, driving round it."""
        angle = rng.uniform(0, 2 * np.pi)
        radius = (ring.outer + ring.island) / 2 + rng.normal(0, 0.5)
        p = np.array([ring.x, ring.y]) + radius * np.array([np.cos(angle), np.sin(angle)])
        yaw = angle + self.world.hand * np.pi / 2
        return p, float(yaw + rng.normal(0, np.deg2rad(8)))

    def _draw(self, rng: np.random.Generator, kind: str) -> CameraPose | None:
        street = self.world.streets[int(rng.choice(len(self.weights), p=self.weights))]
        s = float(rng.uniform(0, street.line.length))
        if kind in ("junction", "turn"):
            if not street.joints:
                return None
            s = float(
                np.clip(rng.choice(street.joints) + rng.normal(0, 2.5), 0, street.line.length)
            )
        elif not street.clear(np.array([s]), 9)[0]:
            return None
        if kind == "car_park":
            return self._in_lot(rng)
        ring = self._ring_at(street, s) if kind in ("junction", "turn") else None
        if ring is not None:
            p, yaw = self._around(rng, ring)
        else:
            p, yaw = self._on_lane(rng, street, s, kind == "wrong_lane")
        if kind == "turn":
            p = p + rng.normal(0, 0.8, 2)
            yaw += rng.choice([-1, 1]) * np.deg2rad(rng.uniform(20, 75))
        if kind == "yaw_offset":
            yaw += rng.choice([-1, 1]) * np.deg2rad(rng.uniform(4, 20))
        return CameraPose(
            float(p[0]), float(p[1]), float((yaw + np.pi) % (2 * np.pi) - np.pi), kind
        )

    def _in_lot(self, rng: np.random.Generator) -> CameraPose | None:
        if not self.world.built.lots:
            return None
        x, y, yaw, length, _ = self.world.built.lots[int(rng.integers(len(self.world.built.lots)))]
        along, across = rng.uniform(-0.45, 0.45) * length, rng.normal(0, 0.8)
        c, s = np.cos(yaw), np.sin(yaw)
        turn = rng.choice([0, np.pi]) + rng.normal(0, np.deg2rad(25))
        return CameraPose(
            float(x + c * along - s * across),
            float(y + s * along + c * across),
            float((yaw + turn + np.pi) % (2 * np.pi) - np.pi),
            "car_park",
        )

    def _clear(self, pose: CameraPose) -> bool:
        """Inside the margin, and not within a metre of a building."""
        if max(abs(pose.x), abs(pose.y)) > self.reach:
            return False
        d = np.array([pose.x, pose.y]) - self.blocks[:, :2]
        c, s = np.cos(self.blocks[:, 2]), np.sin(self.blocks[:, 2])
        u, v = np.abs(d[:, 0] * c + d[:, 1] * s), np.abs(-d[:, 0] * s + d[:, 1] * c)
        return not bool(((u < self.blocks[:, 3] / 2 + 1) & (v < self.blocks[:, 4] / 2 + 1)).any())

    def sample(self, seed: int, count: int, name: str, min_distance: float) -> list[CameraPose]:
        """Return ``count`` poses; a quarter off the plain road.

        Raises:
            ValueError: where the town has no room for that many at that distance.
        """
        rng = stream(seed, "poses", name)
        off = int(round(count * (1 - CHANCES[0])))
        wanted = rng.permutation(np.arange(count) < off)
        out: list[CameraPose] = []
        for off_road in wanted:
            pose = self._one(rng, bool(off_road), out, min_distance)
            if pose is None:
                raise ValueError(
                    f"town {seed} has room for {len(out)} of {count} poses {min_distance} m apart"
                )
            out.append(pose)
        return out

    def _one(
        self, rng: np.random.Generator, off_road: bool, taken: list[CameraPose], gap: float
    ) -> CameraPose | None:
        """Draw one pose on or off the plain road, ``gap`` metres from those ``taken``."""
        others = np.array([(p.x, p.y) for p in taken]).reshape(-1, 2)
        chances = np.array(CHANCES[1:]) / sum(CHANCES[1:])
        kind = "street"
        for attempt in range(MAX_ATTEMPTS):
            if (
                off_road and attempt % 10 == 0
            ):  # a kind for which there is no room gives way to another
                kind = str(rng.choice(KINDS[1:], p=chances))
            pose = self._draw(rng, kind)
            if pose is None or not self._clear(pose):
                continue
            if gap > 0 and len(others) and np.hypot(*(others - (pose.x, pose.y)).T).min() < gap:
                continue
            return pose
        return None
