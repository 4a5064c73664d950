"""A guard for CI: a few ratios against loopback in the same run, each far below what is usual.

Medians of three rounds. What falls below is measured once more before it counts: a neighbour on a shared machine can
spoil all three. Each ratio is one test in the count on the last line.
"""
import shutil

import measuring
import servers
from comparisons import GUARD

ROUNDS, SECONDS = 3, 1


def measure(probes, parties):
    cells = {probe: list(GUARD.parties) for probe in probes}
    return measuring.measure(cells, parties, ROUNDS, SECONDS)


def judge(ratio, results):
    """Says how `ratio` did; True when it holds."""
    median = results.ratio(ratio)
    holds = median is not None and bool(ratio.met(median))
    shown = "no figure" if median is None else f"{median:.2f}"
    verdict = "ok" if holds else "low"
    print(f"{verdict}: {ratio.figure}: {shown} of {ratio.against}, has to be {ratio.bound()}", flush=True)
    return holds


def watch(parties):
    """The status for the shell."""
    if missing := [program for program in ("nginx", "iperf3", "wrk") if not shutil.which(program)]:
        print(f"SKIPPED: the ratios against loopback: {', '.join(missing)} not installed")
        print(f"0 passed, 0 failed, {len(GUARD.ratios)} skipped")
        return 0
    if set(parties) != set(GUARD.parties):  # nsrun does not even start; why is said above
        print(f"0 passed, {len(GUARD.ratios)} failed, 0 skipped")
        return 1
    with servers.Servers():
        results = measure(GUARD.probes, parties)
        low = [ratio for ratio in GUARD.ratios if not judge(ratio, results)]
        if low:
            print("once more, in case a neighbour was loud")
            results = measure(dict.fromkeys(ratio.figure for ratio in low), parties)
            low = [ratio for ratio in low if not judge(ratio, results)]
    print(f"{len(GUARD.ratios) - len(low)} passed, {len(low)} failed, 0 skipped")
    return 1 if low else 0
