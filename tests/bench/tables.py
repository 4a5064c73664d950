"""A run's summary (report.py) as Markdown."""
from comparisons import PEERS
from metrics import FIGURES


# The rows of the README's table: at most 12 (tests/docs/check.py).
HEADLINES = ("up", "down", "up_cpu", "down_cpu", "rr", "rr_p50", "rr64", "crr", "udpup", "udpdown", "pub_in", "start")


def number(value):
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def spread(measured):
    values = measured["values"]
    extremes = f" ({number(min(values))}–{number(max(values))})" if len(values) > 1 else ""
    return number(measured["median"]) + extremes


def peers_table(summary, only=FIGURES):
    figures = {figure: parties for figure, parties in summary["figures"].items() if figure in only}
    measured = {party for parties in figures.values() for party in parties}
    parties = [party for party in (PEERS[0], "baseline", *PEERS[1:]) if party in measured]
    shown = [figure for figure in figures if set(parties) & set(figures[figure])]
    lines = ["| | " + " | ".join(parties) + " | unit |", "|---" * (len(parties) + 2) + "|"]
    for figure in shown:
        cells = [spread(figures[figure][party]) if party in figures[figure] else "–" for party in parties]
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
    return (f"Medians (lowest–highest) of {run['rounds']} interleaved rounds of {run['seconds']} s; a ratio is the "
            f"median of the rounds' ratios. {where(run)}.")


def busy_machine(run):
    """A note where others were at work on the machine when the run began."""
    if run["load"] < run["cores"] / 2:
        return []
    return [f"The machine was busy with other things (load {run['load']:.1f} on {run['cores']} processors) when this run "
            "began: its figures are too low, and its ratios uncertain."]


def where(run):
    """What was measured, and on which machine."""
    return (f"nsrun {run['commit']}, {', '.join(run['peers'])}; {run['cores']} cores ({run['processor']}), "
            f"Linux {run['kernel']}, {run['date']}")


def write_headlines(summary):
    """The README's table: the figures that matter to most, and of which run they are."""
    run = summary["run"]
    medians = f"Medians (lowest–highest) of {run['rounds']} interleaved rounds of {run['seconds']} s."
    return f"{peers_table(summary, HEADLINES)}\n\n{medians} {where(run)}.\n"


def write(summary):
    parts = [peers_table(summary), ratios_table(summary), colophon(summary["run"])]
    if notes := busy_machine(summary["run"]) + summary["notes"]:
        parts.append("\n".join(f"- {note}" for note in notes))
    return "\n\n".join(parts) + "\n"
