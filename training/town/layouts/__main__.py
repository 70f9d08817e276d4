"""Writes a tiny dataset in its official file layout, from a town: to try every command without a
download: `python -m training.town.layouts --dataset vigor --out DIR`.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from training.datasets.pair import DatasetError
from training.terminal.plain_options import plain_options

DATASETS = {
    name: f"training.town.layouts.{name.replace('-', '_')}"
    for name in ("vigor", "cvact", "robotcar", "kitti", "kitti-cvl", "ford", "own")
}
CHECK = "training.check --reader {} --root DIR"
# What a dataset in small needs besides its root, or first.
NEXT: dict[str, tuple[str, ...]] = {
    "vigor": (CHECK.format("vigor") + " --validation random",),
    "robotcar": (
        "training.maps.stitched DIR/satellite_map_new.png DIR/satellite_map.tif",
        CHECK.format("robotcar"),
    ),
    "ford": (CHECK.format("ford") + " --log [4,5] --rows all",),
    "own": ("training.check --reader own --csv DIR/frames.csv --raster DIR/aerial.tif",),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a dataset; return 0, or 1 with one line that says why not."""
    parser = argparse.ArgumentParser(
        prog="python -m training.town.layouts",
        description="Writes a tiny dataset in its official file layout, from a town.",
        epilog="other options go to the writer, e.g. --seed 5",
    )
    parser.add_argument("--dataset", required=True, help=", ".join(DATASETS))
    parser.add_argument("--out", type=Path, required=True, help="a new folder, the dataset's root")
    given, rest = parser.parse_known_args(arguments)
    try:
        options = plain_options(rest)
        count = write(given.dataset, given.out, options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"wrote {count} frames to {given.out}; now try")
    for line in NEXT.get(given.dataset, (CHECK.format(given.dataset),)):
        print(f"  python -m {line.replace('DIR', str(given.out))}")
    return 0


def write(dataset: str, out: Path, options: dict[str, Any]) -> int:
    """Write a dataset to a new folder and return how many frames it has.

    Raises:
        DatasetError: an unknown dataset or option, or a folder that is not empty.
    """
    if dataset not in DATASETS:
        raise DatasetError(f"dataset {dataset!r}: expected one of {', '.join(DATASETS)}")
    writer: Callable[..., list[Any]] = importlib.import_module(DATASETS[dataset]).write
    known = list(inspect.signature(writer).parameters)[1:]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise DatasetError(
            f"{dataset} has no option {unknown[0]!r}: expected some of {', '.join(known)}"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatasetError(f"{out}: is there already: expected a new or empty folder")
    try:
        return len(writer(out, **options))
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)  # half a dataset would be taken for a whole one
        raise


if __name__ == "__main__":
    sys.exit(main())
