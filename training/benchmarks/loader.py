"""Samples a second from VIGOR-sized files: 2048 x 1024 JPEG panoramas and 640 x 640 PNG tiles to
samples of 320 x 640 and 512 x 512 px, by the reader and the loader that training uses.

    python -m training.benchmarks.loader [--root VIGOR --samples 2000]

Without --root it writes a small VIGOR from towns, the panoramas drawn at full size. Rates are by
processor time, which other programs on the machine don't lengthen much; rates on eight cores are
eight times a core's, which disks must keep up with. Beside them stand, each as a ratio of the same
run: the bytes of a batch of uint8 pictures to one of float32, what a loader process spends on each,
and the time of a start that knows the files already to that of the first. Ends with 1 where rates
or memory miss their target.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Subset

from cross_view_localizer.models.contract import Batch
from cross_view_localizer.views import View
from training.datasets.checking.file_stamps import file_stamps
from training.datasets.checking.files import FileCheck
from training.datasets.pair import read_rgb
from training.datasets.pairs import PairDataset
from training.datasets.sample import collate, stacked
from training.datasets.vigor import VigorReader
from training.learning.data import loader
from training.town.layouts import vigor

TARGET, CORES = 200.0, 8
BUDGET_MIB = 48.0  # what 2000 samples may add: the allocator's, not the dataset's
VIEW = View("panorama", 640, 320, 512, 0.1425, 512, 0.1425, heading_up=False)
BATCH = 8


def main() -> int:
    """Measure and print; return 0 where both targets are met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--root", type=Path, help="of VIGOR; else a small one is written")
    parser.add_argument("--samples", type=int, default=400, help="loaded by each loader")
    parser.add_argument("--memory", type=int, default=2000, help="samples that memory is held over")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = given.root or Path(folder)
        if given.root is None:
            vigor.write(root, 4, cities=("Seattle",), rendered=(2048, 1024))
        cities = None if given.root else ["Seattle"]
        reader = VigorReader(root, cities=cities, validation="random")
        pairs = PairDataset(reader, VIEW, seed=0)
        stages(reader)
        travel(pairs)
        start(Path(folder))
        rates = [rate(pairs, given.samples, workers) for workers in (0, 1)]
        grown = growth(pairs, given.memory)
    good = rates[1] * CORES >= TARGET and grown <= BUDGET_MIB
    print(
        f"{rates[1] * CORES:.0f} samples/s on {CORES} cores by extrapolation, target {TARGET:.0f}; "
        f"memory {grown:+.1f} MiB over {given.memory} samples, budget {BUDGET_MIB:.0f}: "
        f"{'met' if good else 'MISSED'}"
    )
    return 0 if good else 1


def stages(reader: VigorReader) -> None:
    """Print where the time of a sample goes, milliseconds of processor time."""
    label = reader.label(0)
    panorama, tile = label.ground_file, label.aerial_file
    encoded = np.fromfile(panorama, dtype=np.uint8)
    full = read_rgb(panorama)
    half = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_REDUCED_COLOR_2))[..., ::-1]
    rows: dict[str, Callable[[], Any]] = {
        "read the panorama": lambda: read_rgb(panorama),
        "  of it, decoded": lambda: cv2.imdecode(encoded, cv2.IMREAD_COLOR),
        "  instead, decoded at half size": lambda: cv2.imdecode(
            encoded, cv2.IMREAD_REDUCED_COLOR_2
        ),
        "read the tile": lambda: read_rgb(tile),
        "a whole sample": lambda: PairDataset(reader, VIEW, seed=0)[0],
        "  the same, light varied": lambda: PairDataset(reader, VIEW, seed=0, vary=True)[0],
    }
    sizes = f"{panorama.stat().st_size / 1e3:.0f} kB, {tile.stat().st_size / 1e3:.0f} kB"
    print(f"panorama {full.shape[1]} x {full.shape[0]} and tile: {sizes}")
    for name, call in rows.items():
        print(f"{name:36} {milliseconds(call):6.1f} ms")
    size = (VIEW.ground_width, VIEW.ground_height)
    a, b = (cv2.resize(p, size, interpolation=cv2.INTER_AREA).astype(float) for p in (full, half))
    off = np.abs(a - b)
    print(
        f"half-size decoding changes the sample by {off.mean():.2f} grey levels ({off.max():.0f})"
    )


def travel(pairs: PairDataset) -> None:
    """Print what a batch weighs between processes, and takes to make, as uint8 and as float32."""
    samples = [pairs[i % len(pairs)] for i in range(BATCH)]
    size, time_of = {}, {}
    for name, make in {"uint8": stacked, "float32": collate}.items():
        batch = make(samples)
        size[name] = sum(part.nbytes for part in _tensors(batch)) / 1e6
        time_of[name] = milliseconds(lambda make=make: _sent(make(samples)))  # type: ignore[misc]
    print(
        f"a batch of {BATCH} between processes: {size['uint8']:.1f} MB as uint8, "
        f"{size['float32']:.1f} MB as float32, ratio {size['uint8'] / size['float32']:.2f}; "
        f"{8 * 8 * size['uint8'] / 1e3:.2f} GB for eight processes, eight batches ahead"
    )
    print(
        f"to stack and to share it: {time_of['uint8']:.1f} ms as uint8, "
        f"{time_of['float32']:.1f} ms as float32, ratio "
        f"{time_of['uint8'] / time_of['float32']:.2f}"
    )


def _sent(batch: Batch) -> None:
    """Do to a batch what a loader process does to send it."""
    for part in _tensors(batch):
        part.share_memory_()


def _tensors(batch: Batch) -> list[Tensor]:
    parts: list[Tensor] = []

    def taken(part: Tensor) -> Tensor:
        parts.append(part)
        return part

    batch.each(taken)
    return parts


def start(folder: Path, count: int = 5000) -> None:
    """Print how long the look at so many files takes, the first time and when they are known."""
    (folder / "many").mkdir()
    pictures = [folder / "many" / f"{number}.png" for number in range(count)]
    for picture in pictures:
        picture.write_bytes(b"\x89PNG" + bytes(2000) + b"IEND")
    spent = []
    for _ in range(2):
        began = time.process_time()
        with file_stamps(folder / "stamps") as stamps:
            check = FileCheck(stamps=stamps)
            assert not any(check.fault(picture) for picture in pictures)
        spent.append((time.process_time() - began) * 1e3)
    print(
        f"a start's look at {count} files: {spent[0]:.0f} ms when each is opened, "
        f"{spent[1]:.0f} ms when they are known, ratio {spent[1] / spent[0]:.2f}"
    )


def milliseconds(call: Callable[[], Any], times: int = 30) -> float:
    """Return the least of three means of processor time."""
    call()
    means = []
    for _ in range(3):
        began = time.process_time()
        for _ in range(times // 3):
            call()
        means.append((time.process_time() - began) / (times // 3))
    return min(means) * 1e3


def rate(pairs: PairDataset, samples: int, workers: int) -> float:
    """Load samples in batches; print and return the samples a second of a core.

    Of two runs' difference, which leaves out what starting and ending workers takes.
    """
    (few, few_clock), (many, many_clock) = (_spent(pairs, n, workers) for n in (8, samples + 8))
    rate = samples / (many - few)
    print(
        f"{workers} workers: {samples} samples, {rate:.1f} a second of processor time "
        f"({samples / (many_clock - few_clock):.1f} by the clock)"
    )
    return rate


def _spent(pairs: PairDataset, samples: int, workers: int) -> tuple[float, float]:
    """Seconds of processor time and by the clock to load samples as training does."""
    rows = Subset(pairs, [i % len(pairs) for i in range(samples)])
    before, began = _processor_time(), time.perf_counter()
    batches = loader(rows, workers, batch_size=BATCH)
    count = sum(len(batch.offset) for batch in batches)
    assert count == samples
    del batches  # its worker ends, and its time is counted
    return _processor_time() - before, time.perf_counter() - began


def growth(pairs: PairDataset, samples: int) -> float:
    """Return by how many MiB resident memory grows from the first tenth of the samples on."""
    started = 0.0
    for i in range(samples):
        _ = pairs[i % len(pairs)]
        if i == samples // 10:
            started = _resident()
    return _resident() - started


def _resident() -> float:
    """Resident memory of this process, MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def _processor_time() -> float:
    """Seconds of this process and of the workers that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    sys.exit(main())
