"""A tenant's brand as a stylesheet of its own, with its colours checked before anybody sees them.

Colours are `#rgb`, `#rrggbb` or `oklch(L C H)`; nothing else is let into a stylesheet. A primary colour that its
foreground
cannot be read on (below 4.5:1) is not used: the portal falls back to neutral colours rather than become unreadable.
"""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from ...governance.pack import BrandSpec

CONTRAST_MIN = 4.5
FALLBACK = ("#1f3a5f", "#ffffff")
_HEX = re.compile(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_OKLCH = re.compile(r"oklch\(\s*([0-9.]+)(%?)\s+([0-9.]+)\s+([0-9.]+)\s*\)")
_FONT = re.compile(r"[A-Za-z0-9 ,\"'-]{0,200}")

Rgb = tuple[float, float, float]


class Theme(msgspec.Struct, frozen=True):
    """What the stylesheet is made of. `accepted` is false when the brand's own colours had to be replaced."""

    primary: str
    primary_foreground: str
    primary_dark: str
    radius_rem: float
    font: str
    contrast: float
    accepted: bool


def theme_of(brand: BrandSpec) -> Theme:
    """Return the theme of a brand, always readable."""
    primary, foreground = brand.primary.strip(), brand.primary_foreground.strip()
    one, other = linear_rgb(primary), linear_rgb(foreground)
    ratio = contrast(one, other) if one is not None and other is not None else 0.0
    accepted = ratio >= CONTRAST_MIN
    if not accepted:
        primary, foreground = FALLBACK
        one, other = linear_rgb(primary), linear_rgb(foreground)
        assert one is not None
        assert other is not None
        ratio = contrast(one, other)
    assert one is not None
    font = brand.font if _FONT.fullmatch(brand.font) else ""
    return Theme(primary, foreground, _for_dark(one), min(max(brand.radius_rem, 0.0), 1.5), font, ratio, accepted)


def stylesheet(theme: Theme) -> str:
    """Return the custom properties of a theme. On dark ground links take a lighter shade of the same colour."""
    font = f"--brand-font:{theme.font};" if theme.font else ""
    return (
        f":root{{--brand:{theme.primary};--brand-foreground:{theme.primary_foreground};"
        f"--brand-text:light-dark({_readable_on_white(theme.primary)},{theme.primary_dark});"
        f"--radius:{theme.radius_rem:g}rem;{font}}}\n"
    )


def contrast(one: Rgb, other: Rgb) -> float:
    """Return the WCAG contrast of two colours given in linear light, 1 to 21.

    >>> round(contrast((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), 1)
    21.0
    """
    first, second = _luminance(one), _luminance(other)
    return (max(first, second) + 0.05) / (min(first, second) + 0.05)


def linear_rgb(color: str) -> Rgb | None:
    """Return a colour in linear sRGB, or None for what may not stand in a stylesheet."""
    if found := _HEX.fullmatch(color):
        digits = found[1] if len(found[1]) == 6 else "".join(digit * 2 for digit in found[1])
        channels = [int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4)]
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
        return red, green, blue
    if found := _OKLCH.fullmatch(color):
        try:
            lightness = float(found[1]) / (100 if found[2] else 1)
            return _from_oklch(lightness, float(found[3]), float(found[4]))
        except ValueError:
            return None
    return None


def _from_oklch(lightness: float, chroma: float, hue: float) -> Rgb:
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red = 4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short
    green = -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short
    blue = -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short
    return _clip(red), _clip(green), _clip(blue)


def _clip(value: Any) -> float:
    return min(max(float(value), 0.0), 1.0)


def _luminance(color: Rgb) -> float:
    return 0.2126 * color[0] + 0.7152 * color[1] + 0.0722 * color[2]


def _mixed(color: Rgb, other: Rgb, share: float) -> Rgb:
    red, green, blue = (one * (1 - share) + two * share for one, two in zip(color, other, strict=True))
    return red, green, blue


def _hex(color: Rgb) -> str:
    channels = (c * 12.92 if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055 for c in color)
    return "#" + "".join(f"{round(_clip(c) * 255):02x}" for c in channels)


def _for_dark(color: Rgb) -> str:
    """Return the first lighter shade that reads on the portal's dark card."""
    ground = linear_rgb("#1d2230")
    assert ground is not None
    for step in range(21):
        shade = _mixed(color, (1.0, 1.0, 1.0), step / 20)
        if contrast(shade, ground) >= 5.5:
            return _hex(shade)
    return "#ffffff"


def _readable_on_white(color: str) -> str:
    """Return the first darker shade that reads on white and on the portal's pale ground."""
    linear = linear_rgb(color)
    assert linear is not None
    for step in range(21):
        shade = _mixed(linear, (0.0, 0.0, 0.0), step / 20)
        if contrast(shade, (0.9, 0.9, 0.9)) >= 5.0:
            return _hex(shade)
    return "#000000"
