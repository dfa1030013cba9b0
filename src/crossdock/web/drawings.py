"""Small drawings that stand beside their numbers: a bar for each hour, as inline SVG with its text twin."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup


def trend(counts: Sequence[int]) -> Markup:
    """Return bars of the last hours, oldest first; the label says the same in words."""
    top = max(counts, default=0)
    if top == 0:
        return Markup("")
    bars = Markup("").join(
        Markup('<rect x="{}" y="{}" width="5" height="{}" rx="1"/>').format(
            index * 7, round(18 - 18 * count / top, 1), max(round(18 * count / top, 1), 1)
        )
        for index, count in enumerate(counts)
    )
    return Markup(
        '<svg class="trend" width="{}" height="18" viewBox="0 0 {} 18" role="img"'
        ' aria-label="New by hour, oldest first: {}">{}</svg>'
    ).format(len(counts) * 7, len(counts) * 7, ", ".join(str(count) for count in counts), bars)
