"""One client of the chaos test: tests/chaos/client.cc in a process of its own."""
import mmap
import os
import signal
import struct
import subprocess
import time

from service import TENANTS, Wrong, die_with_parent, models, read

HANGS_S = 150  # without an answer; a call's own deadline is 120 s, and nobody is stopped for long


class Client:
    """A running client; another one takes its place when it is killed."""

    def __init__(self, service, number, seed):
        self.number = number
        self.killed = False
        self.heartbeat_path = f"{service.outside}/heartbeat-{number}"
        with open(self.heartbeat_path, "wb") as file:
            file.write(bytes(16))
        with open(self.heartbeat_path, "r+b") as file:
            self.heartbeat = mmap.mmap(file.fileno(), 16)
        self.errors = open(f"{service.outside}/errors-{number}", "w+", encoding="utf-8")
        # Half of them lend half of a small budget of their own.
        prefix = []
        if service.limits and number % 2 == 0:
            prefix = [service.pocket, "run", "-t", f"{service.token}-{number}", "-c", "0.5", "-m", "128m", "--"]
        names = list(models())
        self.process = subprocess.Popen(
            [*prefix, service.client, str(seed), self.heartbeat_path, *names],
            env=dict(service.environment, POCKET_SOCKET=service.tenant_socket(number % TENANTS)),
            stdout=subprocess.PIPE, stderr=self.errors, text=True, preexec_fn=die_with_parent)
        self.seen = (0, time.monotonic())

    def counts(self):
        return struct.unpack("QQ", self.heartbeat[:16])

    def pid(self):
        """The client itself, also where `pocket run` started it."""
        try:
            children = read(f"/proc/{self.process.pid}/task/{self.process.pid}/children").split()
        except OSError:
            children = []
        return int(children[0]) if children else self.process.pid

    def check(self):
        """It has neither ended by itself nor stood still for long."""
        if self.process.poll() is not None and not self.killed:
            self.errors.seek(0)
            raise Wrong(f"client {self.number} ended with {self.process.returncode}: {self.errors.read().strip()}")
        calls, now = self.counts()[0], time.monotonic()
        if calls != self.seen[0]:
            self.seen = (calls, now)
        elif now - self.seen[1] > HANGS_S and not self.killed:
            raise Wrong(f"client {self.number} hangs: no answer for {HANGS_S} s after {calls}")

    def kill(self):
        self.killed = True
        os.kill(self.pid(), signal.SIGKILL)

    def close(self):
        self.process.stdout.close()
        self.errors.close()
        self.heartbeat.close()
