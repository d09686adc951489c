"""A drawn chart made part of a page: colours from the page's theme, ids of its own, nothing but shapes and text."""

from __future__ import annotations

import re
import textwrap
import xml.etree.ElementTree as ET
from html import escape

PALETTE = {
    "ink": "#1b2733",
    "soft": "#55616d",
    "axis": "#b4bcc4",
    "grid": "#e3e6e9",
    "faint": "#cfd8dd",
    "accent": "#12647a",
    "warm": "#9c4f1e",
    "paper": "#fdfdfc",
}
_ROLES = {colour: role for role, colour in PALETTE.items()}
_TAGS = frozenset(("svg", "g", "path", "line", "rect", "text", "circle", "defs", "clipPath"))
_ATTRIBUTES = frozenset(
    (
        "viewBox", "width", "height", "x", "y", "x1", "x2", "y1", "y2", "d", "transform", "fill", "stroke", "opacity",
        "fill-opacity", "stroke-opacity", "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-linejoin",
        "stroke-miterlimit", "text-anchor", "font-size", "font-weight", "clip-path", "id", "r", "cx", "cy",
    )
)  # fmt: skip
_LEAST_WIDTH, _MARGIN = 520, 16
_TENTHS = re.compile(r"-?\d+\.\d{2,}(?:e-?\d+)?")


def themed(drawn: str, *, name: str, kind: str, alt: str) -> str:
    """Turn a drawn SVG into one that follows the page.

    Parameters
    ----------
    drawn : str
        SVG as vl-convert writes it, in the colours of `PALETTE`.
    name : str
        Prefix of every id, unique on the page.
    kind : str
        Class of the root element (``"wide"``, ``"narrow"`` or ``"only"``).
    alt : str
        What a screen reader says in place of the drawing.

    Returns
    -------
    str
        Inline SVG.
    """
    root = ET.fromstring(drawn)  # noqa: S314 - written by the drawing library a moment ago, not read from a user
    ids: dict[str, str] = {}
    _clean(root, name, ids)
    root.attrib.update({"class": f"chart {kind}", "role": "img", "aria-label": alt})
    return ET.tostring(root, encoding="unicode")


def standing_alone(inline: str, *, title: str, sentence: str) -> str:
    """Turn an inline SVG into a file that any viewer opens, with message and sentence above the drawing.

    Parameters
    ----------
    inline : str
        As `themed` gives it.
    title, sentence : str
        Plain text.
    """
    root = ET.fromstring(inline)  # noqa: S314 - as above
    across, down = (float(number) for number in root.get("viewBox", "0 0 0 0").split()[2:])
    width = max(across, _LEAST_WIDTH) + 2 * _MARGIN
    rows = [(15, "bold", "ink", line) for line in textwrap.wrap(title, int(width // 9))]
    rows += [(12, "normal", "soft", line) for line in textwrap.wrap(sentence, int(width // 7))]
    bottom, said = float(_MARGIN), []
    for size, weight, role, line in rows:
        bottom += 1.3 * size
        place = f'x="{_MARGIN}" y="{bottom:.1f}" font-size="{size}" font-weight="{weight}" fill="{PALETTE[role]}"'
        said.append(f"<text {place}>{escape(line)}</text>")
    root.attrib |= {"x": f"{_MARGIN}", "y": f"{bottom + _MARGIN:.1f}", "width": f"{across:g}", "height": f"{down:g}"}
    extent = f'width="{width:g}" height="{bottom + down + 2 * _MARGIN:g}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {extent} font-family="sans-serif">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(said)}{ET.tostring(root, encoding="unicode")}</svg>'
    )


def _clean(element: ET.Element, name: str, ids: dict[str, str]) -> None:
    element.tag = element.tag.split("}")[-1]
    element.attrib = {key: _tenths(value) for key, value in element.attrib.items() if key in _ATTRIBUTES}
    if element.get("opacity") == "1":
        del element.attrib["opacity"]
    _renumber(element, name, ids)
    classes = [f"{key[0]}-{_ROLES[value]}" for key in ("fill", "stroke") if (value := element.get(key, "")) in _ROLES]
    if classes:
        element.set("class", " ".join(classes))
    for child in list(element):
        _clean(child, name, ids)
        if element.tag != "clipPath" and _nothing_to_see(child):
            element.remove(child)


def _renumber(element: ET.Element, name: str, ids: dict[str, str]) -> None:
    # The drawing library counts ids through the life of the process: the same chart drawn twice would differ.
    if found := element.get("id"):
        element.set("id", ids.setdefault(found, f"{name}-{len(ids)}"))
    if found := element.get("clip-path"):
        target = found.removeprefix("url(#").removesuffix(")")
        element.set("clip-path", f"url(#{ids.setdefault(target, f'{name}-{len(ids)}')})")


def _nothing_to_see(element: ET.Element) -> bool:
    if element.tag not in _TAGS:
        return True
    unpainted = element.get("stroke") is None and element.get("fill") in (None, "none")
    inside_frame = element.tag == "path" and unpainted
    return inside_frame or (element.tag == "g" and len(element) == 0)


def _tenths(value: str) -> str:
    return _TENTHS.sub(lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), value)
