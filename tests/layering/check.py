#!/usr/bin/env python3
"""Dependencies run one way: fails, with one line for each place, where a folder or a room uses what it must not.

    cmd, testing ──► host ──► netstack ──► runtime
      └────────────► container ──────────► runtime

Both the includes and the link lists are read, and a folder whose headers are included must be linked. Inside
host/ and container/ every folder is a room on a floor (FLOORS): it may use rooms on the floors below its own.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Which of our folders each folder may use besides itself.
USES = {
    "runtime": set(),
    "netstack": {"runtime"},
    "container": {"runtime"},
    "host": {"netstack", "runtime"},
    "testing": {"host", "container", "netstack", "runtime"},
    "cmd": {"host", "container", "netstack", "runtime"},
}

# The rooms of a folder, from the ground up. A room uses rooms of lower floors, never one beside or above it, so
# that there are no circles. A folder below a room belongs to the room unless it is listed itself.
FLOORS = [
    ["host/text"],
    ["host/flow", "host/http", "host/log"],
    ["host/tls", "host/listen", "host/faults"],
    ["host/names", "host/control"],
    ["host/dialers"],
    ["host/carry", "host/endpoints"],
    ["host/tunnel"],
    ["host/outside"],
    ["host/policy"],
    ["host/forward"],
    ["host/sandbox/inject"],
    ["host/sandbox", "host/services"],
    ["host/services/lennut", "host/services/proxy", "host/services/vsock", "host/services/wake"],
    ["host/services/tunnel"],
    ["host"],  # the names by which embedders include it
    ["container/device", "container/seccomp"],
    ["container/closed"],
    ["container/files"],
    ["container/command"],
    ["container"],
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

# Where alone a library's headers may be included. Tests may look at anything.
CONFINED = {
    "lwip/": {"netstack", "third_party"},
    "netif/": {"netstack", "third_party"},
    "netlink/": {"container"},
    "seccomp.h": {"container"},
    "CLI/": {"cmd"},
    "boost/beast": {"host", "testing", "examples"},  # a program may have WebSockets of its own
    "openssl/": {"host"},
    "ldns/": {"host"},
    "yaml.h": {"host"},
}
LINKS_CONFINED = {
    "nsrun_lwip": {"netstack"},
    "PkgConfig::LIBNL": {"container"},
    "PkgConfig::SECCOMP": {"container"},
    "CLI11::CLI11": {"cmd"},
    "OpenSSL::SSL": {"host"},
    "OpenSSL::Crypto": {"host"},
    "PkgConfig::LDNS": {"host"},
    "PkgConfig::YAML": {"host"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)
LINKS = re.compile(r"(?:nsrun_folder|nsrun_rooms|target_link_libraries)\(([^)]*)\)")


def sources(folder):
    return sorted(p for p in (ROOT / folder).rglob("*") if p.suffix in (".h", ".cc", ".c", ".hpp"))


def included_wrongly():
    for folder in [*USES, "third_party", "examples"]:
        for source in sources(folder):
            text = source.read_text(encoding="utf-8")
            for match in INCLUDE.finditer(text):
                place = f"{source.relative_to(ROOT)}:{text.count(chr(10), 0, match.start(2)) + 1}"
                header = match.group(2).removeprefix("nsrun/")
                other = header.split("/")[0]
                if folder in USES and other in USES and other != folder and other not in USES[folder]:
                    yield f"{place}: {folder}/ includes {header}; it may use only {words(USES[folder])}"
                for library, allowed in CONFINED.items():
                    if header.startswith(library) and folder not in allowed:
                        yield f"{place}: {library} belongs to {words(allowed)} only"


def room_of(path):
    """The room that a path of host/ or container/ stands in, or None where no room is listed for its folder."""
    folder = path.rpartition("/")[0]
    while folder.count("/") > 1 and folder not in FLOOR_OF:
        folder = folder.rpartition("/")[0]
    return folder if folder in FLOOR_OF else None


def rooms_used_wrongly():
    for source in [*sources("host"), *sources("container")]:
        path = str(source.relative_to(ROOT))
        room = room_of(path)
        if room is None:
            yield f"{path}: its folder is no room of FLOORS (tests/layering/check.py)"
            continue
        text = source.read_text(encoding="utf-8")
        for match in INCLUDE.finditer(text):
            header = match.group(2).removeprefix("nsrun/")
            other = room_of(header) if header.split("/")[0] == path.split("/")[0] else room
            if other is None or (other != room and FLOOR_OF[other] >= FLOOR_OF[room]):
                line = text.count("\n", 0, match.start(2)) + 1
                yield f"{path}:{line}: {room}/ includes {header}; it may use only rooms of lower floors (FLOORS)"


def link_list(folder):
    lists = ROOT / folder / "CMakeLists.txt"
    text = re.sub(r"#.*", "", lists.read_text(encoding="utf-8"))
    words_of = (words for call in LINKS.findall(text) for words in call.split())
    return {re.sub(r"\$<\w+:(.*)>", r"\1", word) for word in words_of}


def linked_wrongly():
    for folder, allowed in USES.items():
        linked = link_list(folder)
        ours = {name.split("::")[1] for name in linked if name.startswith("nsrun::")}
        for other in sorted(ours & USES.keys() - allowed - {folder}):
            yield f"{folder}/CMakeLists.txt: links nsrun::{other}; it may use only {words(allowed)}"
        for library, owners in LINKS_CONFINED.items():
            if library in linked and folder not in owners:
                yield f"{folder}/CMakeLists.txt: {library} belongs to {words(owners)} only"
        for other in sorted(included_folders(folder) & allowed - reached(ours)):
            yield f"{folder}/CMakeLists.txt: includes {other}/ headers and does not link nsrun::{other}"


def included_folders(folder):
    headers = (match.group(2) for p in sources(folder) for match in INCLUDE.finditer(p.read_text("utf-8")))
    return {header.removeprefix("nsrun/").split("/")[0] for header in headers} & USES.keys()


def reached(folders):
    """The folders, and those they bring along (links are public)."""
    found = set(folders) & USES.keys()
    return found.union(*(reached(link_list_ours(f)) for f in found)) if found else found


def link_list_ours(folder):
    return {name.split("::")[1] for name in link_list(folder) if name.startswith("nsrun::")} - {folder}


def words(names):
    return ", ".join(sorted(names)) or "nothing of ours"


def main():
    faults = [*included_wrongly(), *rooms_used_wrongly(), *linked_wrongly()]
    for fault in faults:
        print(fault)
    if not faults:
        print(f"layering: {sum(len(sources(f)) for f in USES)} files depend the right way")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
