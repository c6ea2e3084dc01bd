#!/usr/bin/env python3
"""Fifty clients while clients, runners and pocketd are killed, stopped, replaced and squeezed.

    POCKET_PROGRAM=build/bin/pocket chaos.py [--seconds N] [--clients N] [--seed N]

Every answer is checked by the client that gets it. At the end: no wrong answer, no failed call, no
client that hangs, and nothing left behind: no process, descriptor, channel, loan or control group.
Prints its seed and a summary. Exit: 0, 1 something is wrong.
"""
import argparse
import collections
import os
import random
import signal
import subprocess
import sys
import time

from client_process import Client
from service import Service, Wrong, die_with_parent, group_trees, read, wait_until


class Chaos:
    def __init__(self, arguments):
        self.arguments = arguments
        self.random = random.Random(arguments.seed)
        self.service = Service()
        self.clients, self.stopped, self.events = [], {}, []
        self.started = 0
        self.done = collections.Counter()
        self.totals = collections.Counter()
        self.last_kill_of_service = 0

    # --- disturbances

    def kill_client(self):
        victim = self.random.choice(self.clients)
        if not victim.killed and victim.counts()[0] > 0:
            victim.kill()
            self.done["clients killed"] += 1

    def kill_runner(self):
        runners = self.service.named("pocket-runner")
        if runners:
            os.kill(self.random.choice(runners), signal.SIGKILL)
            self.done["runners killed"] += 1

    def kill_service(self):
        if time.monotonic() - self.last_kill_of_service < 3:
            return
        self.last_kill_of_service = time.monotonic()
        for pid in self.service.named("pocketd"):
            os.kill(pid, signal.SIGKILL)
            self.done["pocketd killed"] += 1

    def upgrade_service(self):
        if time.monotonic() - self.last_kill_of_service < 3:
            return
        self.last_kill_of_service = time.monotonic()
        subprocess.Popen([self.service.pocket, "service", "upgrade"], env=self.service.environment, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        self.done["upgrades"] += 1

    def stop_somebody(self):
        kind = self.random.choice(["client", "client", "pocket-runner", "pocketd", "supervisor"])
        pids = {"client": [client.pid() for client in self.clients if not client.killed],
                "supervisor": [self.service.supervisor]}.get(kind) or self.service.named(kind)
        pids = [pid for pid in pids if pid not in self.stopped]
        if not pids:
            return
        pid = self.random.choice(pids)
        os.kill(pid, signal.SIGSTOP)
        self.stopped[pid] = time.monotonic() + self.random.uniform(0.05, 1.5)
        self.done["stopped"] += 1

    def fill_tmpfs(self):
        if not self.service.tmpfs or os.path.exists(f"{self.service.folder}/filler"):
            return
        with open(f"{self.service.folder}/filler", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 20))
            except OSError:
                pass
        self.events.append((time.monotonic() + self.random.uniform(0.2, 1.5), self.empty_tmpfs))
        self.done["tmpfs filled"] += 1

    def empty_tmpfs(self):
        if os.path.exists(f"{self.service.folder}/filler"):
            os.unlink(f"{self.service.folder}/filler")

    def press_memory(self):
        """Runners get less memory than they use for a moment: the kernel must take pages back."""
        for pid in self.service.named("pocket-runner")[:1]:
            subprocess.Popen([sys.executable, "-c", "import time\nx = bytearray(192 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1\ntime.sleep(0.5)"],
                             preexec_fn=lambda pid=pid: self.become_hog(pid), stderr=subprocess.DEVNULL)
            self.done["memory pressed"] += 1

    def become_hog(self, runner):
        """In the child: into the runner's group, and the first to be killed there."""
        die_with_parent()
        try:
            with open("/proc/self/oom_score_adj", "w", encoding="utf-8") as file:
                file.write("1000")
            for line in read(f"/proc/{runner}/cgroup").splitlines():
                _, controllers, path = line.split(":", 2)
                if "memory" in controllers.split(","):
                    for tree in group_trees():
                        if os.path.exists(f"{tree}{path}/memory.limit_in_bytes") and self.service.token in path:
                            with open(f"{tree}{path}/cgroup.procs", "w", encoding="utf-8") as file:
                                file.write(str(os.getpid()))
        except OSError:
            pass

    def disturb(self):
        choices = [(self.kill_client, 4), (self.kill_runner, 2), (self.kill_service, 2), (self.upgrade_service, 1),
                   (self.stop_somebody, 5), (self.fill_tmpfs, 1), (self.press_memory, 1)]
        action = self.random.choices([one for one, _ in choices], [weight for _, weight in choices])[0]
        try:
            action()
        except ProcessLookupError:
            pass  # it has just ended

    def let_go(self, everybody=False):
        now = time.monotonic()
        for pid, due in list(self.stopped.items()):
            if everybody or due <= now:
                del self.stopped[pid]
                try:
                    os.kill(pid, signal.SIGCONT)
                except ProcessLookupError:
                    pass
        for due, action in list(self.events):
            if everybody or due <= now:
                self.events.remove((due, action))
                action()

    # --- clients

    def add_client(self):
        self.clients.append(Client(self.service, self.started, self.random.getrandbits(60)))
        self.started += 1

    def take_in(self, client):
        calls, retries = client.counts()
        self.totals["answers"] += calls
        self.totals["sent again"] += retries
        client.close()

    def look_at_clients(self):
        for client in list(self.clients):
            client.check()
            if client.killed and client.process.poll() is not None:
                self.clients.remove(client)
                self.take_in(client)
                self.add_client()

    # --- the whole

    def run(self):
        self.service.start()
        for _ in range(self.arguments.clients):
            self.add_client()
        wait_until(lambda: all(client.counts()[0] > 0 for client in self.clients), "the first answers", 120)
        end = time.monotonic() + self.arguments.seconds
        due = 0
        while time.monotonic() < end:
            self.look_at_clients()
            self.let_go()
            if time.monotonic() >= due:
                self.disturb()
                due = time.monotonic() + self.random.expovariate(1 / 0.25)
            time.sleep(0.05)
        self.let_go(everybody=True)
        wait_until(lambda: (self.look_at_clients() or True) and not any(client.killed for client in self.clients),
                   "every killed client to be replaced")
        before = {client.number: client.counts()[0] for client in self.clients}
        wait_until(lambda: (self.look_at_clients() or True) and
                   all(client.counts()[0] >= before[client.number] + 3 for client in self.clients),
                   "three more answers for everybody", 180)
        self.end_clients()
        self.totals["memory of pocketd at the end, kB"] = self.service.check_end()

    def end_clients(self):
        longest = 0
        for client in self.clients:
            os.kill(client.pid(), signal.SIGTERM)
        for client in self.clients:
            output, _ = client.process.communicate(timeout=150)
            if client.process.returncode != 0:
                client.errors.seek(0)
                raise Wrong(f"client {client.number} ended with {client.process.returncode}: {client.errors.read()}")
            longest = max(longest, float(output.split("longest_ms ")[1].split()[0]))
            self.take_in(client)
        self.clients = []
        self.totals["longest answer of the last clients, ms"] = int(longest)

    def clean_up(self):
        """Whatever happened: nothing of this test stays on the machine."""
        self.let_go(everybody=True)
        for client in self.clients:
            for pid in {client.pid(), client.process.pid}:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            client.process.wait()
        self.service.clean_up()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}, {arguments.clients} clients, {arguments.seconds:.0f} s", flush=True)
    chaos = Chaos(arguments)
    if not chaos.service.tmpfs:
        print("a tmpfs cannot be mounted here, so none is filled")
    if not chaos.service.limits:
        print("control groups cannot be made here, so nothing is lent and no memory is pressed")
    try:
        chaos.run()
        wrong = None
    except (AssertionError, subprocess.TimeoutExpired) as failure:
        wrong = failure
        print(f"log of the service:\n{chaos.service.log()[-8000:]}")
    finally:
        chaos.clean_up()
    for name, count in [*sorted(chaos.done.items()), *chaos.totals.items()]:
        print(f"{count:8} {name}")
    if wrong:
        print(f"WRONG: {wrong}\nagain: chaos.py --seed {arguments.seed} --seconds {arguments.seconds:.0f}")
        return 1
    print("no wrong answer, no failed call, no client that hangs, nothing left")
    return 0


if __name__ == "__main__":
    sys.exit(main())
