"""A drive through a made-up town, localized by the node over DDS, measured and drawn.

Example: python -m training.demo --out demo
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from cross_view_localizer.map.satellite_map import MapError, SatelliteMap
from training.bags.store import BagError
from training.demo.chain import ChainReport, run_chain
from training.demo.folder import FolderError, result_folder
from training.demo.node_process import ROOT, NodeError, NodeProcess, Value
from training.demo.pictures import PictureError, draw_frames, draw_track, write_video
from training.demo.report import (
    Report,
    accuracy_table,
    frames_table,
    latency_table,
    make_report,
)
from training.demo.results import Frames, ResultError, read_frames
from training.demo.scenes import SceneMaker, read_heatmaps, read_images
from training.terminal.progress import Bar
from training.town.drive import Drive, DriveSettings, RouteError, TownScene, make_drive
from training.town.drive_bag import FIX, IMAGE, IMU, INFO, ODOM, TRUTH

REMAP = {"image": IMAGE, "camera_info": INFO, "fix": FIX, "odom": ODOM, "imu": IMU}
# as models.weights has it, without importing torch, which only the node needs
SHIPPED = ROOT / "cross_view_localizer" / "weights"
ERRORS = (
    BagError,
    FolderError,
    MapError,
    NodeError,
    PictureError,
    ResultError,
    RouteError,
)


def apart() -> str:
    """Keep the demo's DDS traffic on this machine and off other ROS systems; return the domain."""
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    return os.environ["ROS_DOMAIN_ID"]


def end_politely() -> None:
    """Tidy up after a TERM as after Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def choose_model(weights: str | None) -> tuple[dict[str, Value], bool]:
    """Return the node's parameters for the model, and whether it is a trained one."""
    if weights is None and (SHIPPED / "front.safetensors").is_file():
        weights = "front"
    if weights is not None:
        return {"weights": weights}, True
    return {"weights": "none", "model": "correlation"}, False


def draw(out: Path, drive: Drive, frames: Frames, bar: Bar) -> None:
    """Write track.png, frames.png and drive.mp4."""
    bar("drawing", 0.0)
    world = SatelliteMap.open(drive.map)
    draw_track(out / "track.png", frames, world)
    images = read_images(drive.bag, IMAGE)
    scenes = SceneMaker(frames, images, read_heatmaps(out / "answers"), world)
    draw_frames(out / "frames.png", frames, scenes)
    write_video(out / "drive.mp4", len(frames.stamp), scenes.scene, lambda s: bar("drawing", s))
    world.close()


def tell(console: Console, report: Report, chain: ChainReport, settings: DriveSettings) -> None:
    """Print the tables."""
    console.print()
    console.print(accuracy_table(report))
    console.print(frames_table(report))
    console.print(latency_table(report))
    console.print(
        f"Town {settings.seed}, {chain.sent} images at {settings.image_rate:g} Hz played in "
        f"{chain.seconds:.0f} s on {os.cpu_count()} cores; the bag was held back for "
        f"{chain.play.held:.1f} s while the node was busy."
    )


def run(out: Path, settings: DriveSettings, weights: str | None, console: Console) -> int:
    """Run the demo into the folder ``out``; return the exit status."""
    began = time.monotonic()
    domain = apart()
    parameters, trained = choose_model(weights)
    watch = f"ROS_DOMAIN_ID={domain} rviz2 -d config/cross_view_localizer.rviz"
    console.print(f"DDS domain {domain} (to watch: {watch})", highlight=False)
    with result_folder(out) as folder, Bar(console) as bar:
        bar("building the town")
        scene = TownScene(settings)
        drive = make_drive(folder, settings, scene, lambda s: bar("filming the drive", s))
        node = NodeProcess(
            folder / "node.log",
            files=(ROOT / "config" / "town.yaml",),
            parameters={
                "map": str(drive.map),
                "use_sim_time": True,
                "heatmap_rate": 100.0,  # one for every frame
                "view_frame": "cross_view_localizer",
                **parameters,
            },
            remap=REMAP,
        )
        chain = run_chain(drive.bag, folder / "answers", node, IMAGE, bar, (FIX, ODOM))
        bar("measuring")
        lever = settings.camera[:2]
        frames = read_frames(folder / "answers", drive.bag, IMAGE, TRUTH, lever)
        report = make_report(frames, trained)
        draw(folder, drive, frames, bar)
        (folder / "results.json").write_text(json.dumps(report.as_json(), indent=1) + "\n")
        with (folder / "table.txt").open("w") as file:
            tell(Console(file=file, width=100), report, chain, settings)
    tell(console, report, chain, settings)
    console.print(
        f"{time.monotonic() - began:.0f} s in all. Look at {out}/track.png, frames.png, drive.mp4"
    )
    if not trained:
        console.print(
            "No shipped weights: the correlation model answered, its error is not judged."
        )
    problem = report.verdict()
    if problem:
        print(f"demo: {problem}", file=sys.stderr)
    return 1 if problem else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo from the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.demo", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder of the results")
    parser.add_argument("--seed", type=int, default=DriveSettings.seed, help="town, 400000 or more")
    parser.add_argument("--duration", type=float, default=DriveSettings.duration, help="seconds")
    parser.add_argument("--rate", type=float, default=DriveSettings.image_rate, help="images per s")
    parser.add_argument("--weights", help="a .safetensors file instead of the shipped weights")
    arguments = parser.parse_args(argv)
    try:
        settings = DriveSettings(
            seed=arguments.seed, duration=arguments.duration, image_rate=arguments.rate
        )
    except ValueError as error:
        parser.error(str(error))
    end_politely()
    try:
        return run(arguments.out, settings, arguments.weights, Console())
    except ERRORS as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted, nothing kept", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
