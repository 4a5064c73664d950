"""A real Podman, serving the Docker API to the world it runs in; its containers share the world's network.

It wants a machine of its own: /run, /dev/shm, /sys/fs/cgroup and all that it keeps are new and go with it. The world
has one user id alone, for which Podman is to be rootless (it would mount devpts for a group that is not there), and no
cgroups, so that nothing can be paused.
"""
import http.client
import json
import os
import shutil
import socket
import subprocess
import tarfile

from support.theme import Skip, until

BUSYBOX = "/bin/busybox"
IMAGE = "localhost/busybox:latest"
_LIMITS = [{"Name": "nofile", "Soft": 1024, "Hard": 1024}, {"Name": "nproc", "Soft": 4096, "Hard": 4096}]
_CONFIG = """[containers]
cgroups = "disabled"
keyring = false
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
_BEGIN = """for place in /sys/fs/cgroup /run /dev/shm; do mount -t tmpfs none $place || exit; done
exec podman --root root --runroot runroot --storage-driver vfs system service --time 0 unix://{socket}"""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("docker", timeout=60)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def archive_of(files):
    """{path in a file system: path here}, as a tar archive."""
    def of_root(entry):
        entry.uid = entry.gid = 0  # the one id there is
        return entry

    with tarfile.open("image.tar", "w") as archive:
        for inside, here in files.items():
            archive.add(here, inside, filter=of_root)
    with open("image.tar", "rb") as archive:
        return archive.read()


class Podman:
    def __init__(self):
        for program in ("podman", BUSYBOX):
            if not shutil.which(program):
                raise Skip(f"there is no {program} here")
        here = os.getcwd()
        self.socket = f"{here}/podman.sock"
        with open("containers.conf", "w") as file:
            file.write(_CONFIG)
        environment = {**os.environ, "HOME": here, "XDG_RUNTIME_DIR": here, "CONTAINERS_CONF": f"{here}/containers.conf",
                       "_CONTAINERS_USERNS_CONFIGURED": "done", "_CONTAINERS_ROOTLESS_UID": "0",
                       "_CONTAINERS_ROOTLESS_GID": "0"}
        self._log = open("podman.log", "w+")
        self._process = subprocess.Popen(["unshare", "--mount", "sh", "-c", _BEGIN.format(socket=self.socket)],
                                         env=environment, stdout=self._log, stderr=self._log)

    def __enter__(self):
        until(lambda: os.path.exists(self.socket) or self._process.poll() is not None, 30, "Podman's socket")
        if self._process.poll() is not None:
            self._log.seek(0)
            raise Skip("Podman does not run here: " + self._log.read().strip()[-300:])
        with open("index.html", "w") as page:
            page.write("from a container")
        self.add_image(IMAGE, {"bin/busybox": BUSYBOX, "www/index.html": "index.html"})
        return self

    def add_image(self, name, files):
        self.call("POST", "/v4.0.0/libpod/images/import?reference=" + name, archive_of(files), "application/x-tar")

    def __exit__(self, *_):
        for container in self.call("GET", "/v1.41/containers/json?all=true"):
            self.remove(container["Id"])
        self._process.terminate()
        self._process.wait(20)
        self._log.close()

    def call(self, verb, path, body=None, kind="application/json"):
        connection = _UnixConnection(self.socket)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        connection.request(verb, path, body, {"Content-Type": kind} if body else {})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status >= 400:
            raise AssertionError(f"{verb} {path}: {answer.status} {text!r}")
        return json.loads(text) if text.strip() else None

    def create(self, name, image, command, binds=(), **settings):
        """A container that is not started."""
        wanted = {"Image": image, "Cmd": command, **settings,
                  "HostConfig": {"NetworkMode": "host", "Ulimits": _LIMITS, "Binds": list(binds)}}
        return self.call("POST", f"/v1.41/containers/create?name={name}", wanted)["Id"]

    def create_web(self, name, port, **settings):
        """A web server that is not started."""
        command = ["/bin/busybox", "httpd", "-f", "-p", f"127.0.0.1:{port}", "-h", "/www"]
        return self.create(name, IMAGE, command, **settings)

    def start(self, name):
        self.call("POST", f"/v1.41/containers/{name}/start")

    def state(self, name):
        return self.call("GET", f"/v1.41/containers/{name}/json")["State"]["Status"]

    def stop(self, name):
        self.call("POST", f"/v1.41/containers/{name}/stop?t=0")

    def remove(self, name):
        self.call("DELETE", f"/v1.41/containers/{name}?force=true")
