"""The servers that everything is measured against, on 127.0.0.1."""
import socket
import subprocess
import tempfile
import time

from parties import IPERF_PORT

HTTP_PORT, ECHO_PORT = 8089, 11111

# An idle connection may stay for as long as a measurement takes, and 15,000 of them at once.
NGINX = """worker_processes 1; daemon off; pid {d}/nginx.pid; error_log /dev/null;
worker_rlimit_nofile 20000;
events {{ worker_connections 19000; multi_accept on; }}
http {{ access_log off; keepalive_requests 100000000; client_header_timeout 600s; keepalive_timeout 600s;
  client_body_temp_path {d}/b; proxy_temp_path {d}/p; fastcgi_temp_path {d}/f; uwsgi_temp_path {d}/u; scgi_temp_path {d}/s;
  server {{ listen 127.0.0.1:{port} backlog=32768; location = /s {{ return 200 "ok\\n"; }} }} }}
"""


class Servers:
    """nginx, iperf3 and sockperf, for as long as the context lasts."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        config = f"{self.folder.name}/nginx.conf"
        with open(config, "w") as file:
            file.write(NGINX.format(d=self.folder.name, port=HTTP_PORT))
        quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        commands = [["nginx", "-e", "/dev/null", "-c", config],
                    ["iperf3", "-s", "-B", "127.0.0.1"],
                    ["sockperf", "server", "-i", "127.0.0.1", "-p", str(ECHO_PORT)]]
        self.processes = []
        for command in commands:
            try:
                self.processes.append(subprocess.Popen(command, **quiet))
            except FileNotFoundError:
                print(f"SKIPPED: what needs {command[0]}: it is not installed")
        try:
            for port in (HTTP_PORT, IPERF_PORT):
                wait_for_port(port)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
            process.wait()
        self.folder.cleanup()


def wait_for_port(port):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"bench: no server came up on port {port}; are nginx and iperf3 installed?")
