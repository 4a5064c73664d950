"""Measures party by party and round by round, and makes medians and ratios of it."""
import statistics
import sys
import time

from comparisons import GROUPS
from metrics import PROBES
from session import Failed


def cells_of(only):
    """For each probe the names of its parties, none twice. `only` names groups or probes; empty means all."""
    cells = {}
    for probe in PROBES:
        for name, group in GROUPS.items():
            if probe in group.probes and (not only or name in only or probe in only):
                cells.setdefault(probe, {}).update(dict.fromkeys(group.parties))
    return {probe: list(names) for probe, names in cells.items()}


class Results:
    """Figures of all rounds, and why there are none where there are none."""

    def __init__(self):
        self.rounds = []    # one dictionary a round: (figure, party) to value
        self.reasons = {}   # (probe, party) to text

    def values(self, figure, party):
        return [figures[figure, party] for figures in self.rounds if (figure, party) in figures]

    def median(self, figure, party):
        values = self.values(figure, party)
        return statistics.median(values) if values else None

    def ratios(self, ratio):
        """One a round that has both: what they have in common, a noisy neighbour for one, is divided out."""
        if not ratio.against:
            return self.values(ratio.figure, ratio.party)
        above, below = (ratio.figure, ratio.party), (ratio.other_figure or ratio.figure, ratio.against)
        return [figures[above] / figures[below] for figures in self.rounds if above in figures and figures.get(below)]

    def ratio(self, ratio):
        ratios = self.ratios(ratio)
        return statistics.median(ratios) if ratios else None


def measure(cells, parties, rounds, seconds):
    """Every party follows every other as often: the order turns from round to round."""
    results = Results()
    for number in range(rounds):
        figures = {}
        results.rounds.append(figures)
        for probe, names in cells.items():
            present = [name for name in names if name in parties]
            turn = number % len(present) if present else 0
            for name in present[turn:] + present[:turn]:
                try:
                    seen = PROBES[probe].measure(parties[name], seconds)
                except Failed as failure:
                    seen = failure.figures
                    results.reasons[probe, name] = str(failure)
                    say(f"round {number + 1}: {probe}: {name}: FAILED: {failure}")
                figures.update({(figure, name): value for figure, value in seen.items()})
                if seen:
                    say(f"round {number + 1}: {probe}: {name}: "
                        + ", ".join(f"{value:.5g}" for value in seen.values()))
                time.sleep(0.1)
    return results


def say(text):
    print(text, file=sys.stderr, flush=True)
