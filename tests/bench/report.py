"""The figures as a table, a plot, and a guard against collapse."""
import json

import metrics

# Against loopback in the same run; with wide margins, for the machines of CI are shared and noisy.
GUARDS = {"up": 0.10, "down": 0.08, "rr": 0.10, "rr64": 0.08}
COLOURS = ["#4477aa", "#bbbbbb", "#ee6677", "#ccbb44"]


def number(value):
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def cell(values, median):
    good = [value for value in values if value]
    return f"{number(median)} ({number(min(good))}–{number(max(good))})" if good else "–"


def write(folder, parties, chosen, seen, medians, machine, arguments):
    """build/bench/table.md, results.json and plot.svg; the table's text."""
    names = [party.name for party in parties]
    lines = ["| | " + " | ".join(names) + " | unit |", "|---" * (len(names) + 2) + "|"]
    for metric in chosen:
        cells = [cell(seen[metric, name], medians.get((metric, name))) for name in names]
        lines.append(f"| {metrics.ALL[metric].meaning} | " + " | ".join(cells) + f" | {metrics.ALL[metric].unit} |")
    lines.append("")
    lines.append(f"Medians (lowest–highest) of {arguments.rounds} interleaved rounds of {arguments.seconds} s; {machine}.")
    table = "\n".join(lines)
    (folder / "table.md").write_text(table + "\n")
    (folder / "results.json").write_text(json.dumps({f"{m}|{n}": v for (m, n), v in medians.items()}, indent=1))
    (folder / "plot.svg").write_text(plot(names, chosen, medians, machine))
    return table


def plot(names, chosen, medians, machine):
    """Bars relative to the best of each metric: their units differ."""
    width, bar, left = 760, 14, 250
    rows, y = [], 50
    for metric in chosen:
        best = max((medians.get((metric, name), 0) for name in names), default=0) or 1
        rows.append(f'<text x="{left - 8}" y="{y + bar * len(names) / 2 + 4}" text-anchor="end">'
                    f'{metrics.ALL[metric].meaning}</text>')
        for index, name in enumerate(names):
            value = medians.get((metric, name), 0)
            length = (width - left - 90) * value / best
            rows.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{bar - 2}" '
                        f'fill="{COLOURS[index % len(COLOURS)]}"/>'
                        f'<text x="{left + length + 4:.1f}" y="{y + bar - 4}">{number(value) if value else "–"}</text>')
            y += bar
        y += 12
    legend = "".join(f'<rect x="{left + 120 * i}" y="24" width="12" height="12" fill="{COLOURS[i % len(COLOURS)]}"/>'
                     f'<text x="{left + 16 + 120 * i}" y="34">{name}</text>' for i, name in enumerate(names))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" font-family="sans-serif" '
            f'font-size="11"><rect width="100%" height="100%" fill="white"/>'
            f'<text x="8" y="14">{machine}</text>{legend}{"".join(rows)}</svg>\n')


def guard(medians):
    """1 when a ratio against loopback has collapsed."""
    status = 0
    for metric, least in GUARDS.items():
        ours, loopback = medians.get((metric, "nsrun")), medians.get((metric, "loopback"))
        if not ours or not loopback:
            print(f"bench: no figure for {metric}")
            status = 1
        elif ours / loopback < least:
            print(f"bench: {metric} is {ours / loopback:.2f} of loopback, below {least}")
            status = 1
    return status
