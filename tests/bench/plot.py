"""The plot: two panels of bars. Above, each party relative to loopback; below, the ratios with their bounds."""
from xml.sax.saxutils import escape

import tables
from metrics import FIGURES

WIDTH, LEFT, RIGHT = 900, 360, 150  # pixels; bars lie between the margins
BAR, GAP = 13, 9
COLOURS = {"nsrun": "#4477aa", "pasta": "#ee6677", "slirp4netns": "#ccbb44"}
GOOD, BAD, PLAIN = "#228833", "#cc3311", "#888888"
PANEL_HEAD = 54


def text(x, y, words, anchor="start", weight="normal"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{escape(words)}</text>'


def rectangle(x, y, width, height, colour):
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}" fill="{colour}"/>'


def line(x, top, bottom, colour, width=1):
    ends = f'x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"/>'


def scaled(ratio, most):
    """How many pixels a ratio is; one beyond `most` is cut there."""
    return (WIDTH - LEFT - RIGHT) * min(ratio, most) / most


def peers_panel(summary, top):
    """Bars of each figure relative to loopback's; its elements, and where it ends."""
    shapes, y, most = [], top + PANEL_HEAD, 1.5
    for figure, measured in summary["figures"].items():
        names = [name for name in COLOURS if name in measured]
        base = measured.get("loopback")
        if not base or not names:
            continue
        less = ", less is better" if FIGURES[figure].less_is_better else ""
        shapes.append(text(LEFT - 8, y + BAR * len(names) / 2 + 4, FIGURES[figure].meaning + less, "end"))
        for name in names:
            ratio = measured[name]["median"] / base["median"]
            shapes.append(rectangle(LEFT, y, scaled(ratio, most), BAR - 2, COLOURS[name]))
            absolute = f"({tables.number(measured[name]['median'])} {FIGURES[figure].unit})"
            shapes.append(text(LEFT + scaled(ratio, most) + 4, y + BAR - 4,
                               f"{ratio:.2f}{' →' if ratio > most else ''} {absolute}"))
            y += BAR
        y += GAP
    legend = [rectangle(LEFT + 110 * i, top + 26, 11, 11, colour) + text(LEFT + 110 * i + 16, top + 36, name)
              for i, (name, colour) in enumerate(COLOURS.items())]
    reference = line(LEFT + scaled(1, most), top + PANEL_HEAD - 6, y - GAP + 4, "#000000")
    head = text(8, top + 16, "relative to loopback in the same run (the line)", weight="bold")
    return [head, *legend, reference, *shapes], y


def ratios_panel(summary, top):
    """One bar a ratio, its bound a mark."""
    shapes, y = [text(8, top + 16, "ratios, and what they have to be (the mark)", weight="bold")], top + 30
    for ratio in summary["ratios"]:
        if ratio["median"] is None:
            continue
        bound = ratio["least"] or ratio["most"]
        most = 2 * (bound or 1)
        length = scaled(ratio["median"], most)
        colour = PLAIN if ratio["met"] is None else GOOD if ratio["met"] else BAD
        other = " / beside 10" if ratio["other_figure"] else f" / {ratio['against']}" if ratio["against"] else ""
        shapes.append(text(LEFT - 8, y + BAR - 3, f"{ratio['figure']}: {ratio['party']}{other}", "end"))
        shapes.append(rectangle(LEFT, y, length, BAR - 2, colour))
        if bound:
            shapes.append(line(LEFT + scaled(bound, most), y - 2, y + BAR, "#000000", 2))
        shapes.append(text(LEFT + max(length, scaled(bound or 0, most)) + 5, y + BAR - 3,
                           f"{ratio['median']:.2f}" + (f"  ({ratio['bound']})" if bound else "")))
        y += BAR + 4
    return shapes, y


def draw(summary):
    peers, middle = peers_panel(summary, 24)
    ratios, bottom = ratios_panel(summary, middle + 10)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{bottom + 12:.0f}" '
            f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>'
            + text(8, 16, tables.where(summary["run"])) + "".join(peers) + "".join(ratios) + "</svg>\n")
