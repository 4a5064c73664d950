"""A run as results.json, and from that alone the tables of table.md and README."""
import json
import subprocess

import plot
from comparisons import GROUPS, PEERS, Ratio
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
    asked = subprocess.run(["dpkg-query", "-W", "passt", "slirp4netns"], capture_output=True, text=True)
    return [" ".join(line.split()) for line in asked.stdout.splitlines()]


def number(value):
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def spread(measured):
    values = measured["values"]
    extremes = f" ({number(min(values))}–{number(max(values))})" if len(values) > 1 else ""
    return number(measured["median"]) + extremes


def peers_table(summary):
    parties = [party for party in (PEERS[0], "baseline", *PEERS[1:]) if any(party in seen for seen in summary["figures"].values())]
    shown = [figure for figure in FIGURES if set(parties) & set(summary["figures"].get(figure, ()))]
    lines = ["| | " + " | ".join(parties) + " | unit |", "|---" * (len(parties) + 2) + "|"]
    for figure in shown:
        cells = [spread(measured) if (measured := summary["figures"][figure].get(party)) else "–" for party in parties]
        lines.append(f"| {FIGURES[figure].meaning} | {' | '.join(cells)} | {FIGURES[figure].unit} |")
    return "\n".join(lines)


def describe(ratio):
    """Which two figures a ratio is of."""
    above = FIGURES[ratio["figure"]].meaning
    if not ratio["against"]:
        return f"{above}, {FIGURES[ratio['figure']].unit}: {ratio['party']}"
    if ratio["other_figure"]:
        return f"{ratio['party']}: {above}, against {FIGURES[ratio['other_figure']].meaning.split(' beside ')[-1]}"
    return f"{above}: {ratio['party']} against {ratio['against']}"


def ratios_table(summary):
    lines = ["| | ratio | bound | met | `./dev bench --only` |", "|---|---|---|---|---|"]
    for ratio in summary["ratios"]:
        shown = spread(ratio) if ratio["values"] else "–"
        met = {True: "yes", False: "**no**", None: "–"}[ratio["met"]]
        lines.append(f"| {describe(ratio)} | {shown} | {ratio['bound']} | {met} | {ratio['only']} |")
    return "\n".join(lines)


def colophon(run):
    return (f"Medians (lowest–highest) of {run['rounds']} interleaved rounds of {run['seconds']} s; a ratio is the median "
            f"of the rounds' ratios. nsrun {run['commit']}, {', '.join(run['peers'])}; {run['cores']} cores, "
            f"Linux {run['kernel']}, {run['date']}.")


def tables(summary):
    parts = [peers_table(summary), ratios_table(summary), colophon(summary["run"])]
    if summary["notes"]:
        parts.append("\n".join(f"- {note}" for note in summary["notes"]))
    return "\n\n".join(parts) + "\n"


def write(folder, summary):
    """results.json, table.md and plot.svg; the tables' text."""
    (folder / "results.json").write_text(json.dumps(summary, indent=1))
    (folder / "plot.svg").write_text(plot.draw(summary))
    text = tables(summary)
    (folder / "table.md").write_text(text)
    return text
