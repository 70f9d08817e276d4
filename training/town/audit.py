"""Is the benchmark hard and fair? Runs the oracle and the two leak correlators on its frames.

``python -m training.town.audit --split test --frames 4`` prints medians, ratios to centre-only, and
every frame for which the oracle itself sees a second mode of at least 0.3.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from training.town.editions import EDITIONS, Edition
from training.town.leaks import edge_error, histogram_error
from training.town.manifest import SPLITS, BenchmarkFrame, load
from training.town.oracle import Oracle
from training.town.seeds import split_of
from training.town.shapes import Array
from training.town.town import Town

AMBIGUOUS = 0.3
WIDTH, HEIGHT = 240, 160


@dataclass(frozen=True)
class Audit:
    """Errors in metres of each frame, (n,): who, in the order of ``frames``.

    Attributes:
        frames: what was audited.
        centre, oracle: errors of centre-only and of the oracle.
        histogram, balanced, edges: errors of the correlators; balanced is the histogram after a
            gray-world balance.
        second: mass of the oracle's second mode.
    """

    frames: list[BenchmarkFrame]
    centre: Array
    oracle: Array
    second: Array
    histogram: Array
    balanced: Array
    edges: Array

    @property
    def ambiguous(self) -> list[BenchmarkFrame]:
        """The frames whose oracle has a second mode of at least AMBIGUOUS."""
        return [f for f, s in zip(self.frames, self.second, strict=True) if s >= AMBIGUOUS]

    def ratio(self, errors: Array) -> float:
        """Median of ``errors`` over the median of centre-only."""
        return float(np.median(errors) / np.median(self.centre))

    def table(self) -> str:
        """Return the summary, one row for each localizer."""
        rows = [("centre-only", self.centre), ("oracle", self.oracle)]
        rows += [("histogram", self.histogram), ("  balanced", self.balanced)]
        rows += [("edges", self.edges)]
        lines = [f"{'':12} median   mean  < 3 m  / centre   ({len(self.frames)} frames)"]
        for name, e in rows:
            numbers = (
                f"{np.median(e):6.2f} {e.mean():6.2f} {(e < 3).mean():6.1%} {self.ratio(e):9.2f}"
            )
            lines.append(f"{name:12} {numbers}")
        lines.append(f"second mode >= {AMBIGUOUS}: {len(self.ambiguous)} frames")
        lines += [f"  town {f.seed} frame {f.index} ({f.pose.kind})" for f in self.ambiguous]
        return "\n".join(lines)


def audit(frames: Iterable[BenchmarkFrame], edition: Edition = "town-v1") -> Audit:
    """Audit ``frames`` of an edition; those of one town follow each other."""
    kept: list[BenchmarkFrame] = []
    rows: list[tuple[float, ...]] = []
    for seed, group in groupby(frames, key=lambda f: f.seed):
        town = Town(seed, edition)
        oracle = Oracle(town)
        for f in group:
            truth = np.empty((HEIGHT, WIDTH, 4), np.float32)
            frame = town.render(
                f.pose, "pinhole", WIDTH, HEIGHT, split_of(seed), f.index, truth=truth
            )
            answer = oracle.locate(f.pose, f.prior, truth)
            centre = float(np.hypot(f.prior[0] - f.pose.x, f.prior[1] - f.pose.y))
            look = (town, f.pose, f.prior, frame)
            naive = (
                histogram_error(*look),
                histogram_error(*look, balanced=True),
                edge_error(*look),
            )
            rows.append((centre, answer.error, answer.second, *naive))
            kept.append(f)
    columns = np.array(rows).reshape(-1, 6).T
    return Audit(kept, *columns)


def main() -> None:
    """Audit the first frames of every town of a split."""
    parser = argparse.ArgumentParser(prog="python -m training.town.audit", description=__doc__)
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--frames", type=int, default=40, help="frames of each town")
    parser.add_argument("--edition", choices=EDITIONS, default="town-v1")
    options = parser.parse_args()
    frames = load(options.split, options.edition)
    print(audit((f for f in frames if f.index < options.frames), options.edition).table())


if __name__ == "__main__":
    main()
