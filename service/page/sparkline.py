"""Small line charts as SVG, drawn on the server: the page's CSP allows no inline style and needs no script for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, MARGIN = 96.0, 26.0, 3.0


@dataclass(frozen=True)
class Point:
    """One measurement: seconds since the epoch, its value, whether it was out of range."""

    at: float
    value: float
    abnormal: bool = False


@dataclass(frozen=True)
class Sparkline:
    """Coordinates for the template; `band` is the reference range as (y, height)."""

    path: str
    dots: tuple[tuple[float, float, bool], ...]
    band: tuple[float, float] | None
    label: str
    width: float = WIDTH
    height: float = HEIGHT


def sparkline(
    points: Sequence[Point], *, low: float | None = None, high: float | None = None, label: str = ""
) -> Sparkline | None:
    """A line through the points in time order, with the reference range behind it; None for fewer than two points."""
    if len(points) < 2:
        return None
    ordered = sorted(points, key=lambda p: p.at)
    first, last = ordered[0].at, ordered[-1].at
    edges = [p.value for p in ordered]
    edges += [edge for edge in (low, high) if edge is not None and _near(edge, edges)]
    bottom, top = min(edges), max(edges)
    span, seconds = (top - bottom) or 1.0, (last - first) or 1.0

    def y(value: float) -> float:
        inside = min(max(value, bottom), top)
        return round(HEIGHT - MARGIN - (inside - bottom) / span * (HEIGHT - 2 * MARGIN), 1)

    def x(at: float) -> float:
        return round(MARGIN + (at - first) / seconds * (WIDTH - 2 * MARGIN), 1)

    places = [(x(p.at), y(p.value), p.abnormal) for p in ordered]
    band = None
    if low is not None or high is not None:
        upper = y(high) if high is not None else MARGIN
        lower = y(low) if low is not None else HEIGHT - MARGIN
        band = (upper, round(max(lower - upper, 1.0), 1))
    path = " ".join(f"{'M' if i == 0 else 'L'}{px} {py}" for i, (px, py, _) in enumerate(places))
    return Sparkline(path=path, dots=(*tuple(d for d in places if d[2]), places[-1]), band=band, label=label)


def _near(edge: float, values: Sequence[float]) -> bool:
    """A bound far away from all values would flatten the line; it is drawn clipped instead."""
    lowest, highest = min(values), max(values)
    reach = max(highest - lowest, abs(highest) * 0.5, 1e-9)
    return lowest - reach <= edge <= highest + reach
