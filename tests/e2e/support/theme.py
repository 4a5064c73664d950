"""Runs the tests of one theme: python3 -m support.theme NAME, from tests/e2e.

A theme is a module test_NAME with functions marked @test("a sentence"). With IN_A_WORLD set it is run in a
network of its own; see support/world.py.
"""
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback

TEST_DEADLINE = 90  # seconds; a test that is not done by then has failed

_tests = []


class Skip(Exception):
    """The machine cannot run this test; the message says why."""


def test(sentence):
    def keep(function):
        _tests.append((sentence, function))
        return function

    return keep


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Skip(f"there is no {program} here")


def expect(condition, *what):
    """An assertion that says what was seen."""
    if not condition:
        raise AssertionError(" ".join(str(part) for part in what) or "not as expected")


def expect_equal(seen, expected, what=""):
    expect(seen == expected, f"{what or 'seen'}: {seen!r}, expected: {expected!r}")


def until(condition, seconds=10, what="the condition"):
    """Waits for what no event tells of; gives back the condition's value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come about within {seconds} s")
        time.sleep(0.01)
    return value


class _TooLong(BaseException):
    pass


def _too_long(*_):
    raise _TooLong()


def _own_frame(error):
    """Where in the theme it happened."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "test_" in frame.filename]
    return f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""


def _run(name, sentence, function):
    began = time.monotonic()
    signal.alarm(TEST_DEADLINE)
    try:
        note = function()
        seen = f": {note}" if note else ""
        verdict = f"ok: {name}: {sentence}{seen} ({time.monotonic() - began:.1f} s)"
    except Skip as skip:
        verdict = f"SKIPPED: {name}: {sentence}: {skip}"
    except _TooLong:
        verdict = f"FAILED: {name}: {sentence}: not done after {TEST_DEADLINE} s"
    except Exception as error:  # whatever a test raises is its failure
        text = "".join(c if c.isprintable() else "?" for c in " ".join(str(error).split()))
        verdict = f"FAILED: {name}: {sentence}: {type(error).__name__}: {text}{_own_frame(error)}"
    finally:
        signal.alarm(0)
    print(verdict, flush=True)


def _only(sentence):
    wanted = os.environ.get("E2E_ONLY")  # part of a sentence, for work on one test
    return not wanted or wanted in sentence


def main(name):
    sys.modules["support.theme"] = sys.modules["__main__"]
    module = importlib.import_module(f"test_{name}")
    if getattr(module, "IN_A_WORLD", False):
        from support import world

        if not world.is_entered():
            reason = world.enter([sys.executable, "-B", "-m", "support.theme", name])
            for sentence, _ in _tests:
                print(f"SKIPPED: {name}: {sentence}: {reason}")
            print("theme ended")
            return
        at_end = world.furnish()
    else:
        at_end = lambda: None
    signal.signal(signal.SIGALRM, _too_long)
    home = os.getcwd()
    with tempfile.TemporaryDirectory(prefix="nsrun-e2e-theme-", ignore_cleanup_errors=True) as directory:
        os.chdir(directory)
        os.environ["HOME"] = directory
        for sentence, function in _tests:
            if _only(sentence):
                _run(name, sentence, function)
        os.chdir(home)
    at_end()
    print("theme ended", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
