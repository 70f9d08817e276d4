"""The node on a real drive, and the Localizer on real panoramas: errors as they are.

Example: python -m training.demo_real --samples ../shared/real_samples --out demo-real

A model that never saw a real image may be far off. Nothing is tuned to these few samples.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from cross_view_localizer.models.weights import SHIPPED, WeightsError, load, without_weights
from training.demo.__main__ import ERRORS, REMAP, apart, choose_model, end_politely
from training.demo.chain import run_chain
from training.demo.folder import result_folder
from training.demo.node_process import ROOT, NodeProcess
from training.demo.results import Frames, read_frames
from training.demo_real import kitti
from training.demo_real.panoramas import Answers, localize_all
from training.demo_real.pictures import draw_drive, draw_panoramas
from training.demo_real.samples import KITTI_CAMERA, SampleError, read_kitti, read_panoramas
from training.terminal.progress import Bar
from training.town.drive_bag import FIX, IMAGE, IMU, TRUTH

SHIFTS = 20
REACH = 12.0  # m: shifts are uniform within ± this, east and north
STD = REACH / np.sqrt(3)  # and this is what the priors honestly state
RATE = 5.0  # the drive has three images in 7.5 s: no need to wait for them

Row = dict[str, object]


def figures(
    name: str, shifts: NDArray[np.float64], errors: NDArray[np.float64], refused: Counter[str]
) -> Row:
    """Return one row: errors (n, 2) of the answers beside those of the centres, ``shifts`` (n, 2).

    Both over the cases in which the network ran, gated or not.
    """
    ran = np.isfinite(errors).all(axis=1)
    row: Row = {"what": name, "cases": len(shifts), "ran": int(ran.sum())}
    for source, values in (("localizer", errors[ran]), ("centre", shifts[ran])):
        distance = np.hypot(*values.T)
        row[f"{source}, median"] = float(np.median(distance)) if ran.any() else None
        row[f"{source}, mean"] = float(distance.mean()) if ran.any() else None
    row["refused"] = ", ".join(
        f"{count} {reason}".replace("_", " ") for reason, count in refused.most_common()
    )
    return row


def drive_rows(frames: Frames) -> list[Row]:
    """Return a row for each of the three images and one for all."""
    there, found, prior = (frames.camera(p) for p in (frames.truth, frames.pose, frames.prior))
    image = np.arange(len(frames.stamp)) % 3
    if len(frames.stamp) != 3 * SHIFTS:  # a frame was dropped: no telling them apart by count
        image = np.full(len(frames.stamp), -1)
    rows = []
    for number in [n for n in (0, 1, 2) if (image == n).any()] + [None]:
        chosen = np.full(len(image), True) if number is None else image == number
        refused = Counter(
            r for r, ok, c in zip(frames.reason, frames.ok, chosen, strict=True) if c and not ok
        )
        name = "KITTI, all" if number is None else f"KITTI, image {number + 1}"
        shifts, errors = (prior - there)[chosen], (found - there)[chosen]
        rows.append(figures(name, shifts, errors, refused))
    return rows


def panorama_rows(answers: Sequence[Answers]) -> list[Row]:
    """Return a row for each panorama, and one for each set of more than one."""
    rows = []
    groups = {a.name: [a] for a in answers}
    groups["CVACT, all"] = [a for a in answers if a.name.startswith("CVACT")]
    for name, group in groups.items():
        refused = Counter(
            e.reason.value for a in group for e in a.estimates if e.reason is not None
        )
        shifts = np.concatenate([a.shifts for a in group])
        rows.append(figures(name, shifts, np.concatenate([a.error for a in group]), refused))
    return rows


_HEADS = {"localizer, median": "median", "localizer, mean": "mean"}


def table_of(rows: Sequence[Row], models: str) -> Table:
    """Return the table of all rows."""
    table = Table(title=f"Real samples: error in m ({models})", title_justify="left")
    for key in rows[0]:
        justify: Literal["left", "right"] = "left" if key in ("what", "refused") else "right"
        table.add_column(_HEADS.get(key, key), justify=justify)
    for row in rows:
        cells = (("" if v is None else v) for v in row.values())
        table.add_row(*(f"{v:.1f}" if isinstance(v, float) else str(v) for v in cells))
    table.caption = (
        f"Each image around {SHIFTS} centres shifted uniformly by ±{REACH:g} m. Answers count also "
        "where a gate held them back. Truths are good to 0.4 m (KITTI, VIGOR), 1 to 3 m (CVACT). "
        "No model here has seen a real image before."
    )
    return table


def run_drive(samples: Path, folder: Path, rng: np.random.Generator, bar: Bar) -> Frames:
    """Play the KITTI drive to the node."""
    drive = read_kitti(samples)
    shifts = rng.uniform(-REACH, REACH, (SHIFTS, 2))
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


def run_panoramas(
    samples: Path, folder: Path, rng: np.random.Generator, bar: Bar
) -> tuple[list[Answers], str]:
    """Ask the Localizer about the panoramas; return its answers and the model's id."""
    panoramas = list(read_panoramas(samples))
    shifts = rng.uniform(-REACH, REACH, (len(panoramas), SHIFTS, 2))
    shipped = (SHIPPED / "panorama.safetensors").is_file()
    model = load("panorama") if shipped else without_weights("correlation", {"ground": "panorama"})
    answers = localize_all(
        panoramas, model, shifts, STD, folder, lambda s: bar("localizing panoramas", s)
    )
    draw_panoramas(folder / "panoramas.png", panoramas, answers, folder)
    return answers, model.identifier


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
            answers, panorama_model = run_panoramas(arguments.samples, folder, rng, bar)
            rows = drive_rows(frames) + panorama_rows(answers)
            table = table_of(rows, f"{frames.model}; {panorama_model}")
            (folder / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
            with (folder / "table.txt").open("w") as file:
                Console(file=file, width=140).print(table)
    except (*ERRORS, SampleError, WeightsError) as error:
        print(f"demo_real: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo_real: interrupted, nothing kept", file=sys.stderr)
        return 130
    console.print(table)
    console.print(f"Pictures: {arguments.out}/kitti.png, panoramas.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
