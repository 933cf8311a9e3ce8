"""Plots for the report, as SVG in base64: a page that shows them fetches nothing."""

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

WATER, STOP, PALE = "#1f6f9f", "#a33b2a", "#b9d4e3"


def curve(name: str, metrics: Path) -> str:
    """Draw loss by step, and held-out bits per byte where measured, from a run's metrics.jsonl."""
    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    losses = [(line["step"], line["loss"]) for line in lines if line["kind"] == "train"]
    held = [(line["step"], line["bits_per_byte"]["overall"]) for line in lines if line["kind"] == "eval"]
    drawn, axes = pyplot.subplots(figsize=(8, 2.8), layout="constrained")
    if losses:
        axes.plot(*zip(*losses, strict=True), color=WATER, linewidth=1.2, label="loss")
    if held:
        axes.plot(*zip(*held, strict=True), color=STOP, marker="o", markersize=3, label="held out, bits a byte")
    axes.set(title=name, xlabel="step")
    return _svg(drawn, axes)


def bars(title: str, names: Sequence[str], series: dict[str, list[int]]) -> str:
    """Draw what came in and what stayed, one pair of bars a name."""
    drawn, axes = pyplot.subplots(figsize=(8, 0.6 + 0.45 * len(names)), layout="constrained")
    for (label, values), colour, height in zip(series.items(), (PALE, WATER), (0.8, 0.45), strict=True):
        axes.barh(range(len(names)), values, height=height, color=colour, label=label)
    axes.set_yticks(range(len(names)), names)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set(title=title)
    return _svg(drawn, axes)


def intervals(title: str, series: dict[str, list[tuple[str, float, float, float]]]) -> str:
    """Draw differences with the ends of their intervals, a row a name, a mark a series: what crosses the line at 0 is noise."""
    names = list(dict.fromkeys(name for points in series.values() for name, *_ in points))
    drawn, axes = pyplot.subplots(figsize=(8, 1.2 + 0.3 * len(names) * max(1, len(series))), layout="constrained")
    axes.axvline(0, color="black", linewidth=0.8)
    colours = pyplot.get_cmap("viridis")
    for i, (label, points) in enumerate(series.items()):
        at = [names.index(name) + (i - (len(series) - 1) / 2) * 0.8 / max(1, len(series)) for name, *_ in points]
        middle = [point[1] for point in points]
        ends = [[point[1] - point[2] for point in points], [point[3] - point[1] for point in points]]
        colour = colours(i / max(1, len(series)) * 0.9)
        axes.errorbar(middle, at, xerr=ends, fmt="o", markersize=4, capsize=3, linewidth=1.2, color=colour, label=label)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set(title=title)
    return _svg(drawn, axes)


def _svg(drawn: Any, axes: Any) -> str:
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    out = io.StringIO()
    drawn.savefig(out, format="svg", metadata={"Date": None})
    pyplot.close(drawn)
    return base64.b64encode(out.getvalue().encode()).decode()
