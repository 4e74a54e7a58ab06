"""One look for all figures: quiet axes, the Okabe–Ito colours (safe for the colour-blind), SVG for pages and PNG.

Ink and grid are written in two fixed colours. `inline_svg` turns them into the page's own, so that a figure follows a
dark or a light page.
"""

import re
from io import StringIO
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK: Final = "#1c2531"
MUTED: Final = "#68737f"
GRID: Final = "#dde2e8"
BLUE, ORANGE, GREEN, PINK = "#0072b2", "#e69f00", "#009e73", "#cc79a7"
SKY, RED, GREY = "#56b4e9", "#d55e00", "#9aa4af"
COLOURS: Final = (BLUE, ORANGE, GREEN, PINK, SKY, RED, GREY)
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")
PNG_DPI: Final = 160
_SIZE = re.compile(r' (?:width|height)="[\d.]+pt"')
_ID = re.compile(r'id="([A-Za-z][A-Za-z0-9.]*_\d+)"')

# Any: matplotlib types the keys as one Literal of all its settings.
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 2,
    "lines.markersize": 5,
    "svg.fonttype": "none",
}


def figure(width: float = 6.4, height: float = 3.8) -> Figure:
    """An empty figure, size in inches. Draw inside `styled`."""
    return Figure(figsize=(width, height))


def styled() -> Any:
    """A context in which figures get the house style."""
    return mpl.rc_context(STYLE)


def only_horizontal_grid(axes: Axes) -> None:
    """Keep the lines that help to read heights."""
    axes.grid(visible=False, axis="x")


def svg(drawn: Figure, name: str) -> str:
    """The figure as an SVG document. The same figure and name give the same bytes; ids differ from name to name."""
    stream = StringIO()
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}):
        drawn.savefig(stream, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return stream.getvalue()


def inline_svg(drawn: Figure, name: str) -> str:
    """The figure as an ``<svg>`` element that takes ink, grid and font from the page around it."""
    text = svg(drawn, name)
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = _SIZE.sub("", text, count=2)
    for colour, own in ((INK, "var(--ink)"), (MUTED, "var(--muted)"), (GRID, "var(--grid)"), (BLUE, "var(--blue)")):
        text = text.replace(colour, own)
    # Ids such as "axes_1" recur in every figure; a page must hold each only once.
    text = _ID.sub(rf'id="{name}-\1"', text)
    return text.replace("'DejaVu Sans'", "inherit")


def save(drawn: Figure, stem: Path) -> tuple[Path, Path]:
    """Write ``stem.svg`` and ``stem.png`` (white ground, 160 dpi) and return both paths."""
    paths = stem.with_suffix(".svg"), stem.with_suffix(".png")
    paths[0].write_text(svg(drawn, stem.name), encoding="utf-8")
    with mpl.rc_context(STYLE):
        drawn.savefig(paths[1], dpi=PNG_DPI, facecolor="white")
    return paths
