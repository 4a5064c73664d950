"""Which parties are measured by which probe, and what a ratio of two figures has to be at least, or at most."""
import dataclasses

PEERS = ("nsrun", "loopback", "pasta", "slirp4netns")


@dataclasses.dataclass(frozen=True)
class Ratio:
    """`figure` of `party` divided by the same figure of `against`, or by another figure of the same party. Against
    nobody, it is the figure itself that has a bound."""

    figure: str
    party: str
    against: str
    least: float = None
    most: float = None
    other_figure: str = None

    def bound(self):
        return f"≥ {self.least}" if self.least else f"≤ {self.most}" if self.most else "–"

    def met(self, ratio):
        """True, False, or None where there is no bound."""
        if self.least:
            return ratio >= self.least
        return ratio <= self.most if self.most else None


@dataclasses.dataclass(frozen=True)
class Group:
    """What `--only NAME` measures."""

    probes: tuple
    parties: tuple
    ratios: tuple = ()


def each(figures, *words, **bounds):
    return tuple(Ratio(figure, *words, **bounds) for figure in figures)


GROUPS = {
    "tcp": Group(("up", "down", "up4", "down4"), PEERS,
                 each(("up", "down"), "nsrun", "loopback") +
                 each(("up_cpu", "down_cpu"), "nsrun", "pasta", most=0.5)),
    "workers": Group(("up4", "down4", "rr64"), ("1 worker", "2 workers", "nsrun", "loopback"),
                     (Ratio("up4", "2 workers", "loopback", least=0.55),
                      Ratio("down4", "2 workers", "loopback", least=0.5)) +
                     each(("up4", "down4", "rr64"), "2 workers", "1 worker")),
    "mtu": Group(("up", "down"), ("nsrun", "MTU 576", "MTU 1500", "MTU 9000"),
                 each(("up", "down"), "MTU 1500", "nsrun", least=0.9) +
                 each(("up", "down"), "MTU 9000", "nsrun") + each(("up", "down"), "MTU 576", "nsrun")),
    "http": Group(("rr", "rr64", "crr"), PEERS,
                  (Ratio("rr", "nsrun", "pasta", least=1.6), Ratio("rr64", "nsrun", "pasta", least=1.15),
                   Ratio("crr", "nsrun", "pasta", least=1.7)) +
                  each(("rr_p50", "rr_p90", "rr_p99"), "nsrun", "pasta")),
    "udp": Group(("udpup", "udpdown", "udprr"), PEERS,
                 (Ratio("udpup", "nsrun", "pasta", least=2.5), Ratio("udpdown", "nsrun", "pasta", least=2.2),
                  Ratio("udprr", "nsrun", "pasta"))),
    "flows": Group(("idle",), ("nsrun", "loopback", "pasta"),
                   (Ratio("rr_idle15000", "nsrun", "nsrun", least=0.85, other_figure="rr_idle10"),
                    Ratio("rr_idle15000", "loopback", "loopback", other_figure="rr_idle10"),
                    Ratio("rr_idle15000", "pasta", "pasta", other_figure="rr_idle10"),
                    Ratio("open", "nsrun", "pasta"), Ratio("open", "nsrun", "loopback"),
                    Ratio("memory", "nsrun", "", most=1.0))),
    "accelerate": Group(("up", "down", "rr", "crr"), ("accelerate", "nsrun", "loopback"),
                        each(("up", "down"), "accelerate", "loopback", least=0.9) +
                        each(("rr", "crr"), "accelerate", "loopback")),
    "publish": Group(("pub_in", "pub_back"), ("nsrun", "loopback", "pasta"),
                     (Ratio("pub_in", "nsrun", "loopback", least=0.65),
                      Ratio("pub_back", "nsrun", "loopback", least=0.6))),
    "lennut": Group(("up", "down", "up4"), ("lennut", "forward", "wake", "forward unix", "socat", "loopback"),
                   each(("up", "down"), "lennut", "socat", least=1.5) +
                   each(("up", "down"), "forward", "socat", least=1.5) +
                   each(("up", "down"), "wake", "forward", least=0.9) +
                   each(("up", "down"), "forward unix", "socat") +
                   each(("up", "down"), "lennut", "loopback") + each(("up", "down"), "forward", "loopback")),
    # 4 and 1.5 Gbit/s where loopback has 20.
    "tunnel": Group(("up", "down", "up4"), ("tunnel", "tunnel, JSON", "loopback"),
                    each(("up", "down"), "tunnel", "loopback", least=0.2) +
                    each(("up", "down"), "tunnel, JSON", "loopback", least=0.075) +
                    each(("up", "down"), "tunnel", "tunnel, JSON")),
    "start": Group(("start",), ("nsrun", "loopback", "pasta"), (Ratio("start", "nsrun", "pasta", least=4),)),
    "policy": Group(("policy",), ("nsrun",),
                    (Ratio("judge", "nsrun", "", most=2.0), Ratio("load", "nsrun", "", most=1000))),
    "rules": Group(("up", "down", "crr"), ("rules", "nsrun"),
                   each(("up", "down"), "rules", "nsrun", least=0.97) + (Ratio("crr", "rules", "nsrun"),)),
    "veth": Group(("up", "down", "rr"), ("veth", "nsrun"),
                  each(("up", "down", "rr"), "veth", "nsrun", least=0.7)),
    "latency": Group(("rr", "crr"), ("nsrun", "latency=low", "latency=cpu"),
                     each(("rr", "crr"), "latency=low", "nsrun") + each(("rr", "crr"), "latency=cpu", "nsrun")),
    "log": Group(("up", "crr"), ("nsrun", "log"), each(("up", "crr"), "log", "nsrun")),
}

# For CI: cheap, and far below what is usual, for its machines are shared and noisy. On a busy one client and server of
# loopback may find themselves on one core, where a request takes them a third of the time.
GUARD = Group(("up", "down", "rr", "rr64", "crr"), ("nsrun", "loopback"),
              each(("up", "down", "rr64"), "nsrun", "loopback", least=0.2) +
              (Ratio("rr", "nsrun", "loopback", least=0.12), Ratio("crr", "nsrun", "loopback", least=0.15)))
