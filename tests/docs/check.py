#!/usr/bin/env python3
"""The documents are true where a program can tell: fails, with one line for each place.

- Each path of the tree that a document names exists, and each man page.
- The README has at most 200 lines, and its table of figures at most 12 rows.
- Each long option of a command's --help has an entry in its man page, and the other way round. The program is the
  argument, else that of a build tree; without one, the options are not compared.
- Documents and messages are plain English: none of the turns of phrase in IDIOM (CONTRIBUTING.md, "Language").
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAX_README_LINES = 200
MAX_BENCHMARK_ROWS = 12
BUILT = ("build/dev/nsrun", "build/release/nsrun", "build/asan/nsrun")

# ---- paths

TOP = ("runtime", "netstack", "container", "host", "testing", "cmd", "tests", "examples", "docs", "third_party", "cmake", ".ci")
# `host/flow/relay.h`, `host/dialers/`, `tests/e2e/test_udp.py`; a file's name alone is not a path.
PATH = re.compile(rf"^(?:{'|'.join(re.escape(top) for top in TOP)})/[\w./+-]*$")
QUOTED = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
MAN_PAGE = re.compile(r"\bnsrun(?:-\w+)?\((\d)\)")


def documents():
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def man_pages():
    return sorted((ROOT / "docs").glob("*.[1-8]"))


def lines_of(path):
    return enumerate(path.read_text(encoding="utf-8").splitlines(), 1)


def named(path):
    return path.relative_to(ROOT)


def wrong_paths():
    for page in documents():
        for number, line in lines_of(page):
            for quoted in QUOTED.findall(line):
                if PATH.match(quoted) and not (ROOT / quoted).exists():
                    yield f"{named(page)}:{number}: there is no {quoted}"
            for link in LINK.findall(line):
                if "://" not in link and not (page.parent / link).exists():
                    yield f"{named(page)}:{number}: there is no {link} to link to"


def wrong_man_pages():
    for page in [*documents(), *man_pages()]:
        for number, line in lines_of(page):
            if line.startswith(".Xr nsrun"):
                _, name, section = line.split()[:3]
                wanted = [f"{name}.{section}"]
            else:
                wanted = [match.group(0).replace("(", ".").rstrip(")") for match in MAN_PAGE.finditer(line)]
            for name in wanted:
                if not (ROOT / "docs" / name).exists():
                    yield f"{named(page)}:{number}: there is no man page docs/{name}"


# ---- the README

def too_long():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    if (count := len(text.splitlines())) > MAX_README_LINES:
        yield f"README.md: {count} lines; at most {MAX_README_LINES}"
    table = text.partition("<!-- bench: begin -->")[2].partition("<!-- bench: end -->")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    if not rows:
        yield "README.md: there are no figures between the marks of tests/bench/readme.py"
    if len(rows) > MAX_BENCHMARK_ROWS:
        yield f"README.md: {len(rows)} rows of figures; at most {MAX_BENCHMARK_ROWS}"


# ---- options

# Which helps a man page explains.
EXPLAINED = {
    "nsrun.1": ([],),
    "nsrun-ctl.1": (["ctl"],),
    "nsrun-forward.1": (["forward"],),
    "nsrun-lennut.1": (["lennut"],),
    "nsrun-policy.5": (["policy"],),
    "nsrun-tunnel.1": (["tunnel"], ["tunnel", "server"], ["tunnel", "client"]),
    "nsrun-vsock.1": (["vsock"],),
    "nsrun-wake.1": (["wake"],),
}
LONG = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]+)")
# An option in a help that is another command's, or not an option of ours.
BORROWED = re.compile(r"nsrun(?: \w+)* --help|nsrun --forward|started with --\w+|as --\w+ does")


def helped(nsrun, words):
    asked = subprocess.run([nsrun, *words, "--help"], capture_output=True, text=True, timeout=20, check=True)
    return set(LONG.findall(BORROWED.sub("", asked.stdout)))


def explained(page):
    """The options that have an entry in a man page."""
    items = (line for _, line in lines_of(page) if line.startswith(".It "))
    flags = (flag for line in items for flag in re.findall(r"(?:Fl |, )\\-((?:\w|\\-)+)", line))
    return {flag.replace("\\-", "-") for flag in flags}


def wrong_options(nsrun):
    for name, helps in EXPLAINED.items():
        entries = explained(ROOT / "docs" / name)
        options = set().union(*(helped(nsrun, words) for words in helps)) | {"help"}
        for option in sorted(options - entries):
            yield f"docs/{name}: there is no entry for --{option} of --help"
        for option in sorted(entries - options):
            yield f"docs/{name}: --{option} is not in --help"


def built_nsrun(arguments):
    if arguments:
        return pathlib.Path(arguments[0]).resolve()
    return next((ROOT / path for path in BUILT if (ROOT / path).exists()), None)


# ---- language

# Each is followed by what to write instead.
IDIOM = {
    r"(?<![Tt]here )\b(?:is|are|was) no (?!longer\b|more\b|other\b|such\b)": "is not a valid …, is not …",
    r"\bwhoever\b": "the client, the user, everybody who",
    r"\banew\b": "again",
    r"\bwho (?:asks|waits|connects|comes|listens|leaves)\b": "the client, the server",
    r"\b(?:does|do) without\b": "runs without …, needs no …",
    r"\bhas (?:the|a|no) say\b": "decides, does not apply",
    r"\bof one's own\b": "its own",
    r"\bas (?:ever|of old)\b": "as before",
    r"\b(?:is|are) (?:heard|told)\b|\bdoes not hear\b": "receive, report, accept",
    r"\b(?:says|say) so\b": "reports it, warns",
    r"\bnobody new\b.*\bgets in\b": "new clients are refused",
    r"\bturned away\b": "refused",
    r"\bwhat (?:lives|remains|leads|stands|comes)\b": "name the thing: live connections, …",
    r"\bthose that (?:live|wait)\b": "live …, waiting …",
    r"\bgone on\b": "passed on",
    r"\bcannot be is\b": "cannot be set up is",
    r"\bas (?:it|--?\w+) has (?:it|them)\b": "as in …",
    r"\b(?:is|are) there who\b": "name the actor",
}
IDIOM = {re.compile(pattern): advice for pattern, advice in IDIOM.items()}
SPOKEN = ("cmd", "host", "container", "testing")  # their string literals are what users read
STRING = re.compile(r'R"\((.*?)\)"|"((?:[^"\\\n]|\\.)*)"', re.DOTALL)
COMMENT = re.compile(r"//[^\n]*")


def literals(path):
    """Each string literal with its line. Neighbours that the compiler joins stay apart."""
    text = path.read_text(encoding="utf-8")
    for match in re.finditer(rf"{COMMENT.pattern}|{STRING.pattern}", text, re.DOTALL):
        literal = match.group(1) or match.group(2)
        if literal and not match.group(0).startswith("//"):
            yield text.count("\n", 0, match.start()) + 1, literal


def spoken_sources():
    return sorted(p for folder in SPOKEN for p in (ROOT / folder).rglob("*") if p.suffix in (".h", ".cc"))


def idiom_in(text):
    for pattern, advice in IDIOM.items():
        if match := pattern.search(text):
            yield match.group(0), advice


def old_idiom():
    for page in [*documents(), *man_pages()]:
        for number, line in lines_of(page):
            for words, advice in idiom_in(re.sub(r"`[^`]*`", "", line)):
                yield f"{named(page)}:{number}: '{words}'; write: {advice}"
    for source in spoken_sources():
        for number, literal in literals(source):
            for words, advice in idiom_in(literal):
                yield f"{named(source)}:{number}: '{words}' in a message; write: {advice}"


def main():
    nsrun = built_nsrun(sys.argv[1:])
    faults = [*wrong_paths(), *wrong_man_pages(), *too_long(), *old_idiom()]
    if nsrun:
        faults += wrong_options(nsrun)
    for fault in faults:
        print(fault)
    if not faults:
        compared = f"options as {nsrun} has them" if nsrun else "options not compared: there is no nsrun built"
        print(f"docs: {len(documents())} documents and {len(man_pages())} man pages are true; {compared}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
