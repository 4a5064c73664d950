"""The figures of README.md and docs/benchmarks.md, written from the last run's: nobody types them."""
import json
import shutil

import tables

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
README, PAGE, PLOT = "README.md", "docs/benchmarks.md", "docs/benchmarks.svg"


def rewrite(root, results):
    """Replaces what stands between the two marks of each file. The status for the shell."""
    try:
        summary = json.loads((results / "results.json").read_text())
    except FileNotFoundError:
        print("bench: there is no build/bench/results.json; run ./dev bench first")
        return 1
    run = summary["run"]
    texts = {README: tables.write_headlines(summary), PAGE: page(summary)}
    for name, text in texts.items():
        path = root / name
        before, _, rest = path.read_text().partition(BEGIN)
        _, found, after = rest.partition(END)
        if not found:
            print(f"bench: {name} has no '{BEGIN}' … '{END}' to write between")
            return 1
        texts[name] = f"{before}{BEGIN}\n{text}{END}{after}"
    for name, text in texts.items():
        (root / name).write_text(text)
    shutil.copyfile(results / "plot.svg", root / PLOT)
    print(f"bench: {README}, {PAGE} and {PLOT} are now of {run['date']}, nsrun {run['commit']}")
    return 0


def page(summary):
    run = summary["run"]
    command = f"`./dev bench --rounds {run['rounds']} --seconds {run['seconds']}`"
    picture = f"![nsrun beside loopback, pasta and slirp4netns]({PLOT.removeprefix('docs/')})"
    return f"The last run, {command}:\n\n{picture}\n\n{tables.write(summary)}"
