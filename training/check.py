"""Whether a dataset's download is right: `python -m training.check --reader vigor --root DIR`.

Options of the reader follow as `--area cross`, `--labels original` … Writes report.json and, for
each split, a contact sheet. Ends with status 1 where there are problems.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.datasets import registry
from training.datasets.checking.contact_sheet import contact_sheet, spread_over_groups
from training.datasets.checking.labels import LabelTable
from training.datasets.checking.report import Report, check
from training.datasets.pair import DatasetError, Reader
from training.datasets.picture_files import save
from training.terminal.plain_options import plain_options


def main(arguments: Sequence[str] | None = None) -> int:
    """Check a dataset; return 0 where it is fine, else 1."""
    parser = argparse.ArgumentParser(
        prog="python -m training.check",
        description=(__doc__ or "").split("\n\n")[0],
        epilog="other options go to the reader, e.g. --area cross",
    )
    parser.add_argument("--reader", required=True, help=", ".join(registry.names()))
    parser.add_argument("--split", action="append", help="only this split; may be given again")
    parser.add_argument("--pictures", default="64", help="rows whose pictures are opened, or: all")
    parser.add_argument("--workers", type=int, default=0, help="processes that open pictures")
    parser.add_argument("--samples", type=int, default=12, help="on each contact sheet")
    parser.add_argument("--show", type=int, default=20, help="problems printed")
    parser.add_argument("--out", type=Path, help="folder of the report; default runs/check/READER")
    given, rest = parser.parse_known_args(arguments)
    try:
        return _checked(given, plain_options(rest))
    except DatasetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _checked(given: argparse.Namespace, options: dict[str, Any]) -> int:
    if given.pictures != "all" and not given.pictures.isdigit():
        raise DatasetError(f"--pictures {given.pictures!r}: expected a number, or all")
    readers, errors = _readers(given.reader, given.split, options)
    count = None if given.pictures == "all" else int(given.pictures)
    report = check(readers, count, given.workers)
    report.errors = errors
    out = given.out or Path("runs/check") / given.reader
    out.mkdir(parents=True, exist_ok=True)
    print("\n".join(report.lines(given.show)))
    written = _write(out, report, readers, given.samples)
    print(f"wrote {', '.join(map(str, written))}")
    return 1 if report.problems else 0


def _write(out: Path, report: Report, readers: dict[str, Reader], samples: int) -> list[Path]:
    path = out / "report.json"
    path.write_text(json.dumps(report.to_json(), indent=1) + "\n", encoding="utf-8")
    written = [path]
    for name, reader in readers.items():
        rows = spread_over_groups(LabelTable.of(reader).group.tolist(), samples)
        if rows:
            written.append(out / f"contact_sheet_{name}.png")
            save(written[-1], contact_sheet(reader, rows))
    return written


def _readers(
    name: str, only: list[str] | None, options: dict[str, Any]
) -> tuple[dict[str, Reader], dict[str, str]]:
    """Build a reader of each split; those that can't be built, with the reason."""
    readers: dict[str, Reader] = {}
    errors: dict[str, str] = {}
    if "split" in options:
        only = [options.pop("split")]
    for split in only or splits_of(name):
        try:
            readers[split] = registry.build(name, **options, **({"split": split} if split else {}))
        except DatasetError as error:
            errors[split] = str(error)
    if not readers:
        raise DatasetError(next(iter(errors.values())))
    return readers, errors


def splits_of(name: str) -> list[str]:
    """Return the splits that a reader knows and that don't contain each other.

    Raises:
        DatasetError: an unknown reader.
    """
    splits = registry.splits(name)
    whole = {"all"} | ({"test"} if "test1" in splits else set())
    return [split for split in splits if split not in whole] or [""]


if __name__ == "__main__":
    sys.exit(main())
