"""What a sandbox costs: the time from nsrun to its command's end, beside the command alone.

    this process ──► nsrun -- true        against        this process ──► true
"""
import os
import statistics
import subprocess
import time

from support import sandbox
from support.theme import Skip, expect, need, test

RUNS = 20
MOST = 0.060  # seconds; generous, for busy machines: the printed figure is what counts


def median(*command):
    taken = []
    for _ in range(RUNS):
        began = time.monotonic()
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        taken.append(time.monotonic() - began)
    return statistics.median(taken)


@test("nsrun -- true takes little longer than true")
def _():
    added = median(sandbox.NSRUN, "--", "true") - median("true")
    expect(added < MOST, f"{added * 1000:.1f} ms more")
    return f"{added * 1000:.1f} ms more, median of {RUNS}"


@test("apt-get downloads a package from the registry")
def _():
    need("apt-get")
    os.makedirs("download", exist_ok=True)
    if subprocess.run(["apt-get", "download", "hello"], cwd="download", capture_output=True,
                      timeout=60).returncode:
        raise Skip("apt-get download hello does not work outside either")
    for name in os.listdir("download"):
        os.unlink(f"download/{name}")
    sandbox.run("apt-get", "download", "hello", cwd="download")
    expect(any(name.startswith("hello_") for name in os.listdir("download")), "there is no package")
