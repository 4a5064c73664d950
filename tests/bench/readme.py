"""The README's figures, written from the last run's: nobody types them."""
import json
import shutil

import tables

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
PLOT = "docs/benchmarks.svg"


def rewrite(root, results):
    """Replaces what stands between the two marks. The status for the shell."""
    try:
        summary = json.loads((results / "results.json").read_text())
    except FileNotFoundError:
        print("bench: there is no build/bench/results.json; run ./dev bench first")
        return 1
    path = root / "README.md"
    before, _, rest = path.read_text().partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        print(f"bench: README.md has no '{BEGIN}' … '{END}' to write between")
        return 1
    shutil.copyfile(results / "plot.svg", root / PLOT)
    run = summary["run"]
    command = f"`./dev bench --rounds {run['rounds']} --seconds {run['seconds']}`"
    picture = f"![nsrun beside loopback, pasta and slirp4netns]({PLOT})"
    text = f"The last run, {command}:\n\n{picture}\n\n{tables.write(summary)}"
    path.write_text(f"{before}{BEGIN}\n{text}{END}{after}")
    print(f"bench: README.md and {PLOT} are now of {run['date']}, nsrun {run['commit']}")
    return 0
