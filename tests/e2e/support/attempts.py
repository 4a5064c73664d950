"""Attempts from inside a sandbox, and what the record says of them."""
import json
import os

from support import hostile, sandbox

PROGRAM = os.path.abspath(hostile.__file__)


def command(function, *arguments):
    """A function of support/hostile.py."""
    return [*sandbox.PYTHON, PROGRAM, function, json.dumps(arguments)]


def attempt(function, *arguments, options=()):
    """What the function gives, and the flows on record."""
    done = sandbox.nsrun("--log", "-", *options, "--", *command(function, *arguments))
    if done.returncode != 0:
        raise AssertionError(f"{function}: status {done.returncode}: {done.stderr[-600:]}")
    return json.loads(done.stdout), records_in(done.stderr)


def records_in(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
