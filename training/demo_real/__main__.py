"""The node on a real drive, and the Localizer on all real pictures: errors as they are.

Example: python -m training.demo_real --samples ../shared/real_samples --out demo-real

A model that never saw a real image may be far off. Nothing is tuned to these few samples.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from cross_view_localizer.models.weights import (
    SHIPPED,
    LoadedModel,
    WeightsError,
    load,
    without_weights,
)
from training.demo.__main__ import ERRORS, REMAP, apart, choose_model, end_politely
from training.demo.chain import run_chain
from training.demo.folder import result_folder
from training.demo.node_process import ROOT, NodeProcess
from training.demo.results import Frames, read_frames
from training.demo_real import kitti, panoramas
from training.demo_real.pictures import draw_drive, draw_trials
from training.demo_real.results import node_line, page, results_of
from training.demo_real.samples import KITTI_CAMERA, SampleError, read_kitti, read_panoramas
from training.demo_real.trials import STD, Scene, Trial, cut, drawn, trials
from training.terminal.progress import Bar
from training.town.drive_bag import FIX, IMAGE, IMU, TRUTH

PRIORS = 40  # for each picture
PASSES = 3  # of the drive through the node
RATE = 5.0  # the drive has three images in 7.5 s: no need to wait for them


def run_drive(samples: Path, folder: Path, rng: np.random.Generator, bar: Bar) -> Frames:
    """Play the KITTI drive to the node."""
    drive = read_kitti(samples)
    shifts = drawn(rng, PASSES, 1)[:, 0, :2]
    bar("writing the drive")
    kitti.write_map(folder / "map.tif", drive)
    kitti.write_bag(folder / "drive", drive, shifts, STD)
    parameters, _ = choose_model(None)
    node = NodeProcess(
        folder / "node.log",
        files=(ROOT / "config" / "kitti.yaml",),
        parameters={
            "map": str(folder / "map.tif"),
            "use_sim_time": True,
            "heatmap_rate": 50.0,
            **parameters,
        },
        remap=REMAP,
    )
    run_chain(folder / "drive", folder / "answers", node, IMAGE, bar, (FIX, IMU), rate=RATE)
    frames = read_frames(
        folder / "answers", folder / "drive", IMAGE, TRUTH, (KITTI_CAMERA[0], KITTI_CAMERA[1])
    )
    draw_drive(folder / "kitti.png", folder, frames)
    return frames


def run_trials(
    samples: Path, folder: Path, rng: np.random.Generator, bar: Bar
) -> tuple[dict[str, list[Trial]], str]:
    """Ask the Localizer about all pictures; return the rows and the models' ids."""
    rows: dict[str, list[Trial]] = {"ours": [], "shuffled": []}
    drive = kitti.scenes(read_kitti(samples), folder / "map.tif")
    round_view = panoramas.scenes(list(read_panoramas(samples)), folder)
    front, panorama = _model("front"), _model("panorama")
    kinds: list[tuple[LoadedModel, list[Scene]]] = [(panorama, round_view), (front, drive)]
    for model, scenes in kinds:
        errors = drawn(rng, len(scenes), PRIORS)
        progress, half = partial(bar, f"localizing {scenes[0].group} …"), len(scenes) // 2
        others = [*scenes[half:], *scenes[:half]]
        rows["ours"] += trials(scenes, model, errors, progress)
        rows["shuffled"] += trials(scenes, model, errors, progress, others)
        if model.model.view.pad and scenes is drive:  # shipped weights of before have no such view
            cropped = [cut(scene, model.model.view) for scene in scenes]
            rows["cropped"] = trials(cropped, model, errors, progress)
    return rows, f"Models: {panorama.identifier}; {front.identifier}"


def _model(name: str) -> LoadedModel:
    if (SHIPPED / f"{name}.safetensors").is_file():
        return load(name)
    return without_weights(
        "correlation", {"ground": "panorama" if name == "panorama" else "pinhole"}
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run everything from the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.demo_real", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--samples", type=Path, required=True, help="folder of the real samples")
    parser.add_argument("--out", type=Path, default=Path("demo-real"), help="folder of the results")
    arguments = parser.parse_args(argv)
    console, rng = Console(), np.random.default_rng(20)
    end_politely()
    try:
        apart()
        with result_folder(arguments.out) as folder, Bar(console) as bar:
            frames = run_drive(arguments.samples, folder, rng, bar)
            rows, models = run_trials(arguments.samples, folder, rng, bar)
            draw_trials(folder / "pictures.png", rows["ours"])
            results: dict[str, Any] = {"models": models, "node": node_line(frames)}
            results |= results_of(rows)
            said = page(results, PRIORS)
            (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
            (folder / "table.md").write_text(said)
    except (*ERRORS, SampleError, WeightsError) as error:
        print(f"demo_real: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo_real: interrupted, nothing kept", file=sys.stderr)
        return 130
    print(said)
    console.print(f"Pictures: {arguments.out}/kitti.png, pictures.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
