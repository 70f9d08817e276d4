"""Tables 1 to 4 of ECCV 2022, ours beside the paper's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from training.measuring import published, summary
from training.measuring.published import Published
from training.measuring.results import Results
from training.measuring.summary import STATISTICS, Statistic
from training.measuring.tables import Best, Cell, Line, Table, small

CORNERS = {
    "same/positive": "Same-area, positives",
    "same/all": "Same-area, pos.+semi-pos.",
    "cross/positive": "Cross-area, positives",
    "cross/all": "Cross-area, pos.+semi-pos.",
}


def table_1(results: Results, entry: dict[str, Any]) -> Table:
    """Ablation of N and of the fusion's inputs, one variant a line, with the paired difference."""
    name, default = entry["set"], entry.get("default", "8,S+M")
    paper = {one.method: one for one in published.table_1()}
    variants: dict[str, str] = entry["variants"]
    control, against = str(entry["control"]), variants.get(default)
    lines = [
        Line(results.label(control, [name]), [*_ours(results, control, against, name), Cell()])
    ]
    for variant in [*variants, *(v for v in paper if v not in variants)]:
        row = variants.get(variant)
        ours, label = [Cell()] * 4, variant
        if row is not None:
            label = f"{variant} ({results.seeds(row, [name])})"
            ours = _ours(results, row, against or row, name)
        printed = paper.get(variant)
        lines.append(Line(label, [*ours, Cell() if printed is None else _printed(printed, "mean")]))
    columns = ["ours: mean (m)", "ours: median (m)"]
    columns += [f"{kind}, less that of {default} (m)" for kind in STATISTICS]
    best: list[Best] = ["low", "low", "", "", "low"]
    notes = [
        *hardly_learned(lines),
        f"Ours: {_words(results.tags.get(name, {}))}.",
        f"Paper: {_words(published.TUNING)}; mean error only.",
        "The two are different protocols: compare the order of the variants, not their metres.",
        *_notes(results, [name]),
    ]
    title = "Table 1: number of cells N and what enters the decoder (S, M, G)"
    return Table("table1", title, [*columns, "paper: mean (m)"], best, lines, notes, where=False)


def hardly_learned(lines: Sequence[Line]) -> list[str]:
    """Say so where the first line, which opens no picture, has a lower mean than all others."""
    control, *others = (line.cells[0].value for line in lines)
    trained = [value for value in others if value is not None]
    if control is None or not trained or control > min(trained):
        return []
    return [
        f"{lines[0].label} has a lower mean ({control:.2f} m, no picture opened) than every "
        f"variant ({min(trained):.2f} m and more): these networks have hardly learned, and the "
        "order between them shows little."
    ]


def _ours(results: Results, row: str, against: str | None, name: str) -> list[Cell]:
    cells = [results.cell(row, name, "argmax_error", s) for s in STATISTICS.values()]
    if against is None:
        return [*cells, *[Cell()] * len(cells)]
    return cells + [_verdict(results, row, against, name, s) for s in STATISTICS.values()]


def _verdict(results: Results, row: str, default: str, name: str, statistic: Statistic) -> Cell:
    ours, others = results.columns.get((row, name)), results.columns.get((default, name))
    if row == default or not ours or not others:
        return Cell()
    found = summary.difference(ours, others, statistic, draws=results.draws)
    text = f"{found['value']:+.2f}"
    if "low" in found:
        text += f" [{found['low']:+.2f}, {found['high']:+.2f}]"
    return Cell(f"{text} {found['verdict']}")


def table_2(results: Results, entry: dict[str, Any]) -> Table:
    """Errors, same and cross area, positives and all tiles."""
    return _errors(results, entry, corrected=False)


def table_2_corrected(results: Results, entry: dict[str, Any]) -> Table:
    """The same on corrected labels, beside what later papers print."""
    return _errors(results, entry, corrected=True)


def _errors(results: Results, entry: dict[str, Any], corrected: bool) -> Table:
    sets: dict[str, str] = entry["columns"]
    corners = [key for key in CORNERS if key in sets]
    lines = [
        Line(
            results.label(row, list(sets.values())),
            [
                results.cell(row, sets[key], entry.get("estimate", "argmax") + "_error", statistic)
                for key in corners
                for statistic in STATISTICS.values()
            ],
        )
        for row in entry["rows"]
    ]
    source = published.table_2_corrected() if corrected else published.table_2()
    lines += list(_beside(source, corners, ("mean", "median")))
    columns = [f"{CORNERS[key]}: {kind} (m)" for key in corners for kind in STATISTICS]
    name = "table2_corrected" if corrected else "table2"
    title = "Table 2: localization error on VIGOR's protocol"
    title += ", corrected labels" if corrected else ""
    best: list[Best] = ["low"] * len(columns)
    return Table(name, title, columns, best, lines, _notes(results, sets.values()))


def table_3(results: Results, entry: dict[str, Any]) -> Table:
    """Probability at the true pixel of 512 x 512."""
    sets: dict[str, str] = entry["columns"]
    corners = [key for key in CORNERS if key in sets]
    lines = [
        Line(
            results.label(row, list(sets.values())),
            [
                results.cell(row, sets[key], "p_truth", statistic)
                for key in corners
                for statistic in STATISTICS.values()
            ],
        )
        for row in entry["rows"]
    ]
    lines += list(_beside(published.table_3(), corners, ("p_mean", "p_median")))
    columns = [f"{CORNERS[key]}: {kind}" for key in corners for kind in STATISTICS]
    best: list[Best] = ["high"] * len(columns)
    title = "Table 3: probability at the true pixel, patches of 512 x 512 pixels"
    notes = [
        *_notes(results, sets.values()),
        "CVR: a Gaussian fitted on validation samples; ours is cut at the patch's border and "
        "normalised, the paper's is not, which makes ours slightly greater.",
    ]
    return Table("table3", title, columns, best, lines, notes)


def _beside(
    source: Iterator[Published], corners: Sequence[str], kinds: Sequence[str]
) -> Iterator[Line]:
    """Yield one line for each published method that has a number in these columns."""
    methods: dict[str, list[Published]] = {}
    for one in source:
        methods.setdefault(one.method, []).append(one)
    for method, ones in methods.items():
        at = {f"{one.tags['area']}/{one.tags['tiles']}": one for one in ones}
        cells = [
            _printed(at[key], kind) if key in at else Cell() for key in corners for kind in kinds
        ]
        if any(cell.value is not None for cell in cells):
            yield Line(method, cells, _source(ones[0]))


def _printed(one: Published, kind: str) -> Cell:
    value = one.figures.get(kind)
    if value is None:
        return Cell()
    text = small(value) if kind.startswith("p_") else f"{value:.2f}"
    if f"{kind}_std" in one.figures:
        text += f" ± {one.figures[f'{kind}_std']:.2f}"
    return Cell(text, value, one.tags)


def _source(one: Published) -> str:
    source = f"paper, {one.source}" if one.source.startswith(("Table", "section")) else one.source
    return source if one.status == "printed" else f"{source} ({one.status})"


def table_4(results: Results, entry: dict[str, Any]) -> Table:
    """Errors on the traversals of other days: mean ± standard deviation over them."""
    sets = list(entry["sets"])
    lines = [Line(results.label(row, sets), _over(results, row, sets)) for row in entry["rows"]]
    for one in published.table_4():
        kinds = ("mean", "median", "p_mean", "p_median")
        lines.append(Line(one.method, [_printed(one, kind) for kind in kinds], _source(one)))
    notes = [
        *_notes(results, sets),
        f"Paper's metres, flagged: {published.ROBOTCAR_NOTE}.",
        f"GeolocalRetrieval*: {published.RETRIEVAL_NOTE}.",
    ]
    columns = ["mean (m)", "median (m)", "probability at truth: mean", "median"]
    best: list[Best] = ["low", "low", "high", "high"]
    title = "Table 4: localization error across time, average ± standard deviation over traversals"
    return Table("table4", title, columns, best, lines, notes)


def _over(results: Results, row: str, sets: Sequence[str]) -> list[Cell]:
    cells = []
    for column in ("argmax_error", "p_truth"):
        for statistic in STATISTICS.values():
            seeds = [results.columns.get((row, name)) for name in sets]
            values = [summary.stacked(one, column) for one in seeds if one]
            if len(values) < len(sets) or not all(np.isfinite(v).all() for v in values):
                cells.append(Cell())
                continue
            value, spread = summary.over_traversals([statistic(v) for v in values])
            text = small(value) if column == "p_truth" else f"{value:.2f} ± {spread:.2f}"
            cells.append(Cell(text, value, _common([results.tags[name] for name in sets])))
    return cells


def _common(tags: Sequence[dict[str, str]]) -> dict[str, str]:
    """Return tags of several sets, what differs joined."""
    keys = {key: None for one in tags for key in one}
    return {key: " + ".join(dict.fromkeys(one[key] for one in tags if key in one)) for key in keys}


def details(results: Results, entry: dict[str, Any]) -> list[Table]:
    """One table for each set: what the paper does not print, at the sub-pixel mode."""
    return [_details(results, entry, name) for name in entry["sets"]]


def _details(results: Results, entry: dict[str, Any], name: str) -> Table:
    lines = []
    for row in entry["rows"]:
        seeds = results.columns.get((row, name))
        if not seeds:
            continue
        found, tags = summary.summary(seeds, 0), results.tags[name]
        error, numbers = found["mode_error"], []
        for value in (
            error["median"], error["p95"], found["longitudinal"]["median"],
            found["lateral"]["median"],
        ):  # fmt: skip
            numbers.append(Cell(f"{value:.2f}", value, tags))
        for limit in (1, 3, 5, 10):
            value = error[f"recall_{limit}m"]
            numbers.append(Cell(f"{value:.0%}", value, tags))
        nll, rank = found.get("nll_nats_per_m2"), found.get("spearman_p_error")
        numbers.append(Cell() if nll is None else Cell(f"{nll:.2f}", nll, tags))
        numbers.append(Cell() if nll is None else Cell(f"{found['outside_heatmap']:.1%}"))
        numbers.append(Cell() if rank is None else Cell(f"{rank:+.2f}"))
        lines.append(Line(results.label(row, [name]), numbers))
    columns = [
        "median (m)", "95 % (m)", "longitudinal (m)", "lateral (m)", "< 1 m", "< 3 m", "< 5 m",
        "< 10 m", "NLL (nats, per m²)", "outside heatmap", "rank corr. of probability and error",
    ]  # fmt: skip
    lower: list[Best] = ["low"] * 4
    higher: list[Best] = ["high"] * 4
    best: list[Best] = [*lower, *higher, "low", "", ""]
    title = f"Details at the sub-pixel mode: {name}"
    notes = ["Longitudinal and lateral: medians of their sizes. NLL: of truths in the heatmap."]
    return Table(f"details_{name}", title, columns, best, lines, notes)


def _words(tags: Mapping[str, str]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in tags.items())


def _notes(results: Results, sets: Any) -> list[str]:
    """Say what ours were measured on, and what the numbers in brackets are."""
    frames = []
    for name in sets:
        seeds = next((v for (_, s), v in results.columns.items() if s == name), None)
        if seeds:
            groups = len(np.unique(seeds[0].groups))
            frames.append(f"{name}: {len(seeds[0])} samples in {groups} groups")
    return [
        "Ours: [95 % interval by bootstrap over groups], ± standard deviation over training "
        f"seeds. {'; '.join(frames)}.",
        "Bold: best among numbers of one protocol in a column; other protocols do not compare "
        "(resolution 'published' is 0.114 m/px in all cities).",
    ]
