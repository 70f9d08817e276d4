"""Fit a weights file's calibration on calibration towns: ``python -m training.fit_calibration``."""

from __future__ import annotations

import math
from pathlib import Path

import jsonargparse
import numpy as np
import torch
from torch.utils.data import DataLoader

from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.grid import Grid
from cross_view_localizer.models import weights as weights_file
from cross_view_localizer.models.contract import CrossViewModel
from training.datasets.sample import Sample, collate
from training.datasets.town import TownFrames
from training.measuring.calibrate import HeldOut, assess, fit


def held_out(model: CrossViewModel, samples: TownFrames, batch: int = 16) -> list[HeldOut]:
    """Return the model's raw scores on fixed frames, in float32, as the node has them on a CPU."""
    loader = DataLoader(samples, batch_size=batch, collate_fn=collate)  # type: ignore[arg-type]
    found: list[HeldOut] = []
    with torch.inference_mode():
        for pair in loader:
            scores = model(pair.aerial, pair.ground)
            for log_mass in scores.log_mass.float().numpy():
                sample = samples[len(found)]
                found.append(
                    HeldOut(
                        log_mass,
                        scores.yaw_offsets.numpy().astype(np.float64),
                        grid_of(model, sample),
                        sample.position,
                        sample.yaw,
                    )
                )
    return found


def grid_of(model: CrossViewModel, sample: Sample) -> Grid:
    """Return where a sample's heatmap lies in the map."""
    view, up = model.view, sample.heading - sample.yaw
    right, down = sample.offset
    x = sample.position[0] - right * math.sin(up) + down * math.cos(up)
    y = sample.position[1] + right * math.cos(up) + down * math.sin(up)
    return Grid(view.output_size, view.output_size, view.output_gsd, (float(x), float(y)), up)


def fit_calibration(
    weights: Path,
    towns: int = 50,
    frames: int = 20,
    moments: str = "all",
    threads: int = 2,
) -> None:
    """Fit on half of the calibration towns, check on the other half, fit on all, write it back.

    Args:
        weights: the file to change.
        towns: how many of the 50 calibration towns.
        frames: frames of each.
        moments: what the covariance sums over: "all", "basin" or "radius".
        threads: of the network.
    """
    torch.set_num_threads(threads)
    loaded = weights_file.load(weights)
    samples = TownFrames(loaded.model.view, "calibration", towns, frames)
    pairs = held_out(loaded.model, samples)
    base = Calibration(moments=moments)
    half = len(pairs) // (2 * frames) * frames
    first, second = pairs[:half], pairs[half:]
    print("as trained:", assess(second, Calibration(floor_std=0.0, moments=moments)))
    print("fitted on one half, measured on the other:", assess(second, fit(first, base=base)))
    chosen = fit(pairs, base=base)
    print("written:", chosen)
    metadata = loaded.metadata | {"calibration_towns": towns, "calibration_frames": frames}
    weights_file.save(
        weights, loaded.name, loaded.config, loaded.model.state_dict(), metadata, chosen
    )


def main() -> None:
    """Command line."""
    try:
        jsonargparse.CLI(fit_calibration, as_positional=False)
    except ValueError as error:
        raise SystemExit(f"fit_calibration: {error}") from None


if __name__ == "__main__":
    main()
