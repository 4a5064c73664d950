"""How each party is given a command to run."""
import shlex
import shutil
import subprocess

GATEWAY = "10.0.2.2"  # the host's loopback, in every namespace


class Party:
    """A kind of network. `wrap` gives the shell command that runs `inner` in it."""

    def __init__(self, name, wrap, address=GATEWAY):
        self.name, self.wrap, self.address = name, wrap, address

    def run(self, inner, limit):
        """Standard output and error of `inner`; what runs longer than `limit` seconds is killed."""
        process = subprocess.Popen(["sh", "-c", self.wrap(inner)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, start_new_session=True)
        try:
            return process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            subprocess.run(["pkill", "-KILL", "-s", str(process.pid)])
            return process.communicate()


def pasta(inner):
    return ("pasta --config-net -a 10.0.2.100 -n 24 -g 10.0.2.2 -m 65520 -t none -u none -T none -U none -q "
            f"-- sh -c {shlex.quote(inner)}")


def slirp4netns(inner):
    # It has no command of its own to run: a namespace is made, configured, and entered.
    return ("unshare -Urn sh -c 'exec sleep 60 >/dev/null 2>&1' & U=$!; sleep 0.2; "
            "slirp4netns --configure --mtu=65520 $U tap0 >/dev/null 2>&1 & S=$!; sleep 0.6; "
            f"nsenter -U -n --preserve-credentials -t $U sh -c {shlex.quote(inner)}; "
            "kill $U $S 2>/dev/null; wait 2>/dev/null")


def make(name, binary):
    if name == "loopback":
        return Party(name, lambda inner: f"sh -c {shlex.quote(inner)}", "127.0.0.1")
    if name == "nsrun":
        return Party(name, lambda inner: f"{binary} --host-loopback -- sh -c {shlex.quote(inner)}")
    wrap = {"pasta": pasta, "slirp4netns": slirp4netns}[name]
    if not shutil.which(name):
        print(f"SKIPPED: {name}: not installed")
        return None
    return Party(name, wrap)
