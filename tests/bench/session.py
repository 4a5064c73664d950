"""Runs a shell command to its end, and says why where it fails.

A command may stop at gates: where it prints GATE it waits for a line, and meanwhile somebody outside looks at its
processes, or is a client of the server that it started.
"""
import subprocess
import tempfile
import threading

GATE = "--gate--"
DEFINE_GATE = f"gate() {{ echo {GATE}; read _; }}; "


class Failed(Exception):
    """A measurement that gave no figure, or only some; the text says why, in the words of the program that failed."""

    def __init__(self, reason, figures=None):
        super().__init__(reason)
        self.figures = figures or {}


def last_lines(text, count):
    return " / ".join([line.strip() for line in text.splitlines() if line.strip()][-count:])


def run(command, limit, gates=()):
    """What `command` printed. `gates` are called, one for each gate, with the process id that `command` has.
    After `limit` seconds the command and all it started are killed."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=errors, text=True, start_new_session=True)
        expired = threading.Event()

        def kill():
            expired.set()
            subprocess.run(["pkill", "-KILL", "-s", str(process.pid)])

        timer = threading.Timer(limit, kill)
        timer.start()
        try:
            output = converse(process, iter(gates))
        finally:
            timer.cancel()
            if process.poll() is None:
                kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()
        errors.seek(0)
        complaint = last_lines(errors.read(), 3) or last_lines(output, 2)
        if expired.is_set():
            raise Failed(f"not done after {limit:.0f} s: {complaint}")
        if process.returncode:
            raise Failed(f"status {process.returncode}: {complaint}")
        return output


def converse(process, gates):
    lines = []
    for line in process.stdout:
        if line.strip() != GATE:
            lines.append(line)
            continue
        next(gates)(process.pid)
        process.stdin.write("\n")
        process.stdin.flush()
    process.wait()
    return "".join(lines)
