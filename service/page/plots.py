"""Bars and histograms as SVG, drawn on the server: no script, nothing to load, every picture with its numbers in words."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

WIDTH, HEIGHT = 160, 12
Part = tuple[str, int, str]
"""CSS class of the colour, count, what it is."""


def bar(count: int, of: int, css: str = "good") -> Markup:
    """A share as a bar; without a denominator an empty, dashed one: unknown, not nothing."""
    if not of:
        return _picture("unknown: nothing was counted", f'<rect class="unknown" width="{WIDTH}" height="{HEIGHT}"/>')
    width = round(count / of * WIDTH, 1)
    shapes = (
        f'<rect class="rest" width="{WIDTH}" height="{HEIGHT}"/><rect class="{css}" width="{width}" height="{HEIGHT}"/>'
    )
    return _picture(f"{count} of {of}", shapes)


def stack(parts: Sequence[Part]) -> Markup:
    """Parts of a whole side by side."""
    total = sum(count for _, count, _ in parts)
    if not total:
        return bar(0, 0)
    shapes, at = [], 0.0
    for css, count, words in parts:
        width = count / total * WIDTH
        if count:
            title = escape(f"{words}: {count} of {total}")
            shapes.append(
                f'<rect class="{css}" x="{at:.1f}" width="{width:.1f}" height="{HEIGHT}"><title>{title}</title></rect>'
            )
        at += width
    return _picture(", ".join(f"{words} {count}" for _, count, words in parts if count), "".join(shapes))


def histogram(counts: Sequence[int], label: str) -> Markup:
    """Counts by tenths, 0 to 1 from left to right."""
    most = max(counts, default=0)
    if not most:
        return Markup("")
    step, high = 9, 28
    shapes = []
    for place, count in enumerate(counts):
        height = round(count / most * high, 1) if count else 0
        title = escape(f"{place / 10:.1f} to {(place + 1) / 10:.1f}: {count}")
        shapes.append(
            f'<rect class="map" x="{place * step}" y="{high - height}" width="{step - 1}" height="{height}">'
            f"<title>{title}</title></rect>"
        )
    shapes.append(f'<rect class="axis" y="{high}" width="{10 * step - 1}" height="1"/>')
    return _picture(label, "".join(shapes), 10 * step, high + 1)


def _picture(words: str, shapes: str, width: int = WIDTH, height: int = HEIGHT) -> Markup:
    """`shapes` are ours, with every text in them escaped."""
    return Markup(  # noqa: S704
        f'<svg role="img" aria-label="{escape(words)}" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f"{shapes}</svg>"
    )
