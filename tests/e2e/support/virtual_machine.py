"""A small virtual machine: Debian's cloud kernel, busybox and a static nsrun, booted by qemu without a network.

    theme ── serial line ──► sh in the machine ── AF_VSOCK, CID 1 and 2 ──► the machine itself (vsock_loopback)
"""
import os
import re
import select
import shutil
import subprocess
import time

from support.theme import Skip, need

PARTS = os.environ.get("NSRUN_VM", "")            # a directory: vmlinuz and the modules (tests/e2e/fetch_vm)
STATIC = os.environ.get("NSRUN_STATIC", "")       # an nsrun with nothing shared
MODULES = ["vsock", "vmw_vsock_virtio_transport_common", "vsock_loopback"]  # in the order they are loaded
BUSYBOX = "/bin/busybox"

_INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /run
/bin/busybox mount -t devtmpfs dev /dev
exec < /dev/ttyS0 > /dev/ttyS0 2>&1
/bin/busybox --install -s /bin
mount -t proc proc /proc
ip link set lo up
for module in %s; do insmod /$module.ko || echo cannot load $module; done
stty -echo -onlcr
export PATH=/bin PS1=
echo machine ready
exec sh
"""


def needed():
    need("qemu-system-x86_64", "cpio")
    if not os.path.exists(BUSYBOX):
        raise Skip("there is no static busybox here")
    if not os.path.exists(f"{PARTS}/vmlinuz"):
        raise Skip("there is no kernel for a virtual machine here (tests/e2e/fetch_vm)")
    if not os.path.exists(STATIC):
        raise Skip("there is no static nsrun here (./dev build dev nsrun-static)")


def _image(path, files):
    """An initramfs of the machine, with these files (name to text) at its root."""
    shutil.rmtree("machine", ignore_errors=True)
    os.makedirs("machine/bin")
    shutil.copy(BUSYBOX, "machine/bin/busybox")
    shutil.copy(STATIC, "machine/bin/nsrun")
    for module in MODULES:
        shutil.copy(f"{PARTS}/{module}.ko", "machine")
    for name, text in {"init": _INIT % " ".join(MODULES), **files}.items():
        with open(f"machine/{name}", "w") as file:
            file.write(text)
    os.chmod("machine/init", 0o755)
    names = subprocess.run(["find", "."], cwd="machine", check=True, stdout=subprocess.PIPE).stdout
    with open(path, "wb") as image:
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd="machine", input=names, stdout=image, check=True)
    shutil.rmtree("machine")


class Machine:
    """Runs until its block is left."""

    def __init__(self, files):
        needed()
        _image("machine.cpio", files)
        self._seen = b""
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "256", "-nographic", "-nodefaults",
             "-serial", "stdio", "-no-reboot", "-kernel", f"{PARTS}/vmlinuz", "-initrd", "machine.cpio",
             "-append", "console=ttyS0 quiet panic=-1 random.trust_cpu=on"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            self._wait_for(rb"machine ready\n", 60)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def _wait_for(self, pattern, seconds):
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self._seen, re.DOTALL)):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise AssertionError(f"the machine did not say {pattern!r} within {seconds} s: {self._seen[-600:]!r}")
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise AssertionError(f"the machine ended: {self._seen[-600:]!r}")
            self._seen += data.replace(b"\r", b"")
        self._seen = self._seen[found.end():]
        return found

    def ask(self, script, seconds=30):
        """[the output, the status] of a command line."""
        self.process.stdin.write(f"{script}\necho \"::$?::\"\n".encode())
        self.process.stdin.flush()
        found = self._wait_for(rb"^(.*?)::(\d+)::\n", seconds)
        return found[1].decode(errors="replace"), int(found[2])

    def run(self, script, seconds=30):
        """The output of a command line, which must succeed."""
        output, status = self.ask(script, seconds)
        if status != 0:
            raise AssertionError(f"{script}: status {status}: {output}")
        return output
