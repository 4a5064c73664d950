"""A run as results.json, and beside it the tables and the plot that are made of that alone."""
import json
import subprocess

import plot
import tables
from comparisons import GROUPS, Ratio
from metrics import FIGURES, PROBES


def summarise(results, cells, left_out, run):
    """Everything that the tables and the plot show, as JSON has it."""
    probe_of = {figure: name for name, probe in PROBES.items() for figure in probe.figures}
    figures = {}
    for figure in FIGURES:
        for party in dict.fromkeys(name for names in cells.values() for name in names):
            if values := results.values(figure, party):
                figures.setdefault(figure, {})[party] = {"median": results.median(figure, party), "values": values}
    ratios = []
    for group, members in GROUPS.items():
        for ratio in members.ratios:
            if {ratio.party, ratio.against or ratio.party} <= set(cells.get(probe_of[ratio.figure], ())):
                ratios.append(summarise_ratio(group, ratio, results))
    baselines = (Ratio(figure, "nsrun", "baseline") for figure in figures if "baseline" in figures[figure])
    ratios += [summarise_ratio(probe_of[ratio.figure], ratio, results) for ratio in baselines]
    notes = [f"left out: {name}: {reason}" for name, reason in left_out.items()]
    notes += [f"failed: {probe}, {party}: {reason}" for (probe, party), reason in results.reasons.items()]
    return {"run": run, "figures": figures, "ratios": ratios, "notes": notes}


def summarise_ratio(group, ratio, results):
    median = results.ratio(ratio)
    return {"figure": ratio.figure, "party": ratio.party, "against": ratio.against, "other_figure": ratio.other_figure,
            "least": ratio.least, "most": ratio.most, "bound": ratio.bound(), "only": group, "median": median,
            "values": results.ratios(ratio), "met": None if median is None else ratio.met(median)}


def peer_versions():
    """Of their packages: Debian's pasta does not know its own."""
    asked = subprocess.run(["dpkg-query", "-W", "passt", "slirp4netns", "socat"], capture_output=True, text=True)
    return [" ".join(line.split()) for line in asked.stdout.splitlines()]


def write(folder, summary):
    """results.json, table.md and plot.svg; the tables' text."""
    (folder / "results.json").write_text(json.dumps(summary, indent=1))
    (folder / "plot.svg").write_text(plot.draw(summary))
    text = tables.write(summary)
    (folder / "table.md").write_text(text)
    return text
