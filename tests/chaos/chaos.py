#!/usr/bin/env python3
"""Fifty clients while clients, runners and pocketd are killed, stopped, replaced and squeezed.

    chaos.py --build DIR [--seconds N] [--clients N] [--seed N]

Every answer is checked by the client that gets it. At the end: no wrong answer, no failed call, no
client that hangs, and nothing left behind: no process, descriptor, channel, loan or control group.
Prints its seed and a summary. Exit: 0, 1 something is wrong, 77 (with the reason) it cannot run.
"""
import argparse
import collections
import ctypes
import glob
import json
import mmap
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

ECHO = ("mode = 'echo'\ndelay_us = {delay}\n[[inputs]]\nname = 'x'\ndtype = 'float32'\nshape = [-1]\n"
        "[[outputs]]\nname = 'y'\ndtype = 'float32'\nshape = [-1]\n")
MODELS = {"instant": 0, "quick": 300, "busy": 2000, "slow": 15000}
TMPFS_BYTES = 24 << 20
TENANTS = 5
HANGS_S = 150  # without an answer; a call's own deadline is 120 s, and nobody is stopped for long


class Wrong(Exception):
    pass


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def is_running(pid):
    try:
        return read(f"/proc/{pid}/stat").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise Wrong(f"not within {seconds} s: {what}")


def group_trees():
    fields = [line.split() for line in read("/proc/self/mounts").splitlines()]
    return [field[1] for field in fields if field[2] in ("cgroup", "cgroup2")]


def can_limit():
    for tree in group_trees():
        controllers = f"{tree}/cgroup.controllers"
        offers = read(controllers) if os.path.exists(controllers) else os.path.basename(os.path.realpath(tree))
        if "memory" in offers and os.access(tree, os.W_OK):
            return True
    return False


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Client:
    """A running client; another one takes its place when it is killed."""

    def __init__(self, chaos, number):
        self.chaos, self.number = chaos, number
        self.killed = False
        self.heartbeat_path = f"{chaos.outside}/heartbeat-{number}"
        with open(self.heartbeat_path, "wb") as file:
            file.write(bytes(16))
        with open(self.heartbeat_path, "r+b") as file:
            self.heartbeat = mmap.mmap(file.fileno(), 16)
        self.errors = open(f"{chaos.outside}/errors-{number}", "w+", encoding="utf-8")
        # Half of them lend half of a small budget of their own.
        prefix = []
        if chaos.limits and number % 2 == 0:
            prefix = [chaos.pocket, "run", "-t", f"{chaos.token}-{number}", "-c", "0.5", "-m", "128m", "--"]
        models = list(MODELS)
        self.process = subprocess.Popen(
            [*prefix, chaos.client, str(chaos.random.getrandbits(60)), self.heartbeat_path, *models],
            env=dict(chaos.environment, POCKET_SOCKET=chaos.tenant_socket(number % TENANTS)),
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


class Chaos:
    def __init__(self, arguments):
        self.arguments = arguments
        self.random = random.Random(arguments.seed)
        bin_folder = os.path.join(arguments.build, "bin")
        self.pocket = os.path.join(bin_folder, "pocket")
        self.client = os.path.join(bin_folder, "chaos-client")
        self.limits = can_limit()
        self.token = f"chaos{os.getpid()}"
        self.outside = tempfile.mkdtemp(prefix="pocket-chaos-")
        self.folder = f"{self.outside}/service"
        os.mkdir(self.folder)
        self.tmpfs = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES},mode=755", "pocket-chaos",
                                     self.folder], capture_output=True, check=False).returncode == 0
        self.socket = f"{self.folder}/pocket.sock"
        self.environment = dict(os.environ, POCKET_SOCKET=self.socket, XDG_RUNTIME_DIR=self.outside)
        for name in ("INVOCATION_ID", "NOTIFY_SOCKET", "POCKET_RETRY"):
            self.environment.pop(name, None)
        self.cgroup = f"pocket-{self.token}"
        self.clients, self.stopped, self.events = [], {}, []
        self.started = 0
        self.done = collections.Counter()
        self.totals = collections.Counter()
        self.last_kill_of_service = 0

    # --- the service

    def write(self, name, text):
        os.makedirs(os.path.dirname(f"{self.outside}/{name}"), exist_ok=True)
        with open(f"{self.outside}/{name}", "w", encoding="utf-8") as file:
            file.write(text)

    def ask(self, *words, seconds=90):
        return subprocess.run([self.pocket, *words], env=self.environment, text=True, capture_output=True,
                              timeout=seconds, check=False)

    def start_service(self):
        for name, delay in MODELS.items():
            self.write(f"models/{name}/1/model.null", ECHO.format(delay=delay) + f"# {name}\n")
        tenants = "".join(f"[[socket]]\npath = '{self.tenant_socket(one)}'\ntenant = 't{one}'\n"
                          f"[tenant.t{one}]\nmodels = '*'\n" for one in range(TENANTS))
        budget = "cpus = 1.0\nmemory = 268435456\n" if self.limits else ""
        self.write("pocketd.toml", f"[service]\ndrain_seconds = 2\n[budget]\ncgroup = '{self.cgroup}'\n"
                                   f"ledger = '{self.folder}/ledger'\n{budget}"
                                   "[engines]\nconcurrency = 4\n" + tenants)
        done = self.ask("service", "run", "-d", "--models", f"{self.outside}/models", "--config",
                        f"{self.outside}/pocketd.toml")
        if done.returncode != 0:
            raise Wrong(f"the service does not start: {done.stderr}")
        self.pocketd = int(done.stdout.split("process ")[1].split(")")[0])
        self.supervisor = int(read(f"/proc/{self.pocketd}/status").split("PPid:")[1].split()[0])

    def tenant_socket(self, number):
        return f"{self.folder}/t{number}/pocket.sock"

    def status(self):
        done = self.ask("service", "status", "--json")
        return json.loads(done.stdout) if done.returncode == 0 else None

    def children(self):
        """pocketd, and the runners whoever started them: all of them are below the supervisor."""
        pids, found = [self.supervisor], []
        while pids:
            pid = pids.pop()
            try:
                below = [int(word) for word in read(f"/proc/{pid}/task/{pid}/children").split()]
            except OSError:
                continue
            pids += below
            found += below
        return found

    def named(self, name):
        pids = []
        for pid in self.children():
            try:
                if os.path.basename(os.readlink(f"/proc/{pid}/exe")) == name:
                    pids.append(pid)
            except OSError:
                pass
        return pids

    # --- disturbances

    def kill_client(self):
        victim = self.random.choice(self.clients)
        if not victim.killed and victim.counts()[0] > 0:
            victim.kill()
            self.done["clients killed"] += 1

    def kill_runner(self):
        runners = self.named("pocket-runner")
        if runners:
            os.kill(self.random.choice(runners), signal.SIGKILL)
            self.done["runners killed"] += 1

    def kill_service(self):
        if time.monotonic() - self.last_kill_of_service < 3:
            return
        self.last_kill_of_service = time.monotonic()
        for pid in self.named("pocketd"):
            os.kill(pid, signal.SIGKILL)
            self.done["pocketd killed"] += 1

    def upgrade_service(self):
        if time.monotonic() - self.last_kill_of_service < 3:
            return
        self.last_kill_of_service = time.monotonic()
        subprocess.Popen([self.pocket, "service", "upgrade"], env=self.environment, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        self.done["upgrades"] += 1

    def stop_somebody(self):
        kind = self.random.choice(["client", "client", "pocket-runner", "pocketd", "supervisor"])
        pids = {"client": [client.pid() for client in self.clients if not client.killed],
                "supervisor": [self.supervisor]}.get(kind) or self.named(kind)
        pids = [pid for pid in pids if pid not in self.stopped]
        if not pids:
            return
        pid = self.random.choice(pids)
        os.kill(pid, signal.SIGSTOP)
        self.stopped[pid] = time.monotonic() + self.random.uniform(0.05, 1.5)
        self.done["stopped"] += 1

    def fill_tmpfs(self):
        if not self.tmpfs or os.path.exists(f"{self.folder}/filler"):
            return
        with open(f"{self.folder}/filler", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 20))
            except OSError:
                pass
        self.events.append((time.monotonic() + self.random.uniform(0.2, 1.5), self.empty_tmpfs))
        self.done["tmpfs filled"] += 1

    def empty_tmpfs(self):
        if os.path.exists(f"{self.folder}/filler"):
            os.unlink(f"{self.folder}/filler")

    def press_memory(self):
        """Runners get less memory than they use for a moment: the kernel must take pages back."""
        for pid in self.named("pocket-runner")[:1]:
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
                        if os.path.exists(f"{tree}{path}/memory.limit_in_bytes") and self.token in path:
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
        self.clients.append(Client(self, self.started))
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
        self.start_service()
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
        self.check_service()

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

    def check_service(self):
        """With no client left, nothing of one is left."""
        status = wait_until(lambda: (now := self.status()) and len(now["sessions"]) == 1 and now,
                            "the service to forget every client")
        self.check_nothing("open models", sum(session["channels"] for session in status["sessions"]))
        wait_until(lambda: not self.regions(), "regions of channels to be unmapped and closed")
        if self.limits:
            leases = json.loads(self.ask("leases", "--json").stdout)
            self.check_nothing("accounts that do not add up",
                               [account for account in leases["accounts"] if not account["conserved"]])
            self.check_nothing("loans", [account for account in leases["accounts"]
                                         if account["lent"] or account["borrowed"]])
        # The listening sockets, the state, the bell; of each runner its control socket, pidfd, board.
        runners = len(status["runners"])
        wait_until(lambda: len(os.listdir(f"/proc/{self.supervisor}/fd")) <= 3 + 3 + 3 + TENANTS + 3 * runners,
                   "the supervisor to close what is not used")
        pid = status["pid"]
        kept = len(os.listdir(f"/proc/{pid}/fd"))
        # Sockets and files of its own, and of each runner its socket, pidfd, board and group files.
        if kept > 40 + 20 * runners:
            links = collections.Counter(os.readlink(f"/proc/{pid}/fd/{fd}").split("[")[0]
                                        for fd in os.listdir(f"/proc/{pid}/fd"))
            raise Wrong(f"pocketd has {kept} descriptors with no client and {runners} runners: {links}")
        memory = int(read(f"/proc/{pid}/smaps_rollup").split("Pss:")[1].split()[0])
        self.totals["memory of pocketd at the end, kB"] = memory
        if memory > 24 << 10:
            raise Wrong(f"pocketd uses {memory} kB with no client")
        below = self.children()
        done = self.ask("service", "kill")
        if done.returncode != 0:
            raise Wrong(f"service kill: {done.stderr}")
        wait_until(lambda: not any(is_running(one) for one in [self.supervisor, *below]), "the end of every process")
        self.check_nothing("files beside the socket", [name for _, _, names in os.walk(self.folder) for name in names
                                                       if not name.startswith("pocketd")])
        try:
            wait_until(lambda: not self.groups(), "the end of every control group")
        except Wrong as failure:
            raise Wrong(f"{failure}: {self.groups()}") from failure

    def regions(self):
        """Channel memory that somebody still holds."""
        found = []
        for pid in self.children():
            try:
                found += [line for line in read(f"/proc/{pid}/maps").splitlines()
                          if "memfd:pocket-request" in line or "memfd:pocket-response" in line]
            except OSError:
                pass
        return found

    def groups(self):
        return [path for tree in group_trees()
                for path in glob.glob(f"{tree}/**/*{self.token}*", recursive=True)]

    @staticmethod
    def check_nothing(what, found):
        if found:
            raise Wrong(f"{what}: {found}")

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
        if hasattr(self, "supervisor"):
            below = self.children()
            for pid in [self.supervisor, *below]:
                if is_running(pid):
                    os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not any(is_running(pid) for pid in [self.supervisor, *below]), "the end")
        self.ask("ps", "--prune")
        for path in sorted(self.groups(), key=len, reverse=True):
            try:
                os.rmdir(path)
            except OSError:
                pass
        if self.tmpfs:
            subprocess.run(["umount", "-l", self.folder], check=False)
        shutil.rmtree(self.outside, ignore_errors=True)

    def log(self):
        try:
            return read(f"{self.folder}/pocketd.log")
        except OSError:
            return ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}, {arguments.clients} clients, {arguments.seconds:.0f} s", flush=True)
    chaos = Chaos(arguments)
    if not chaos.tmpfs:
        print("a tmpfs cannot be mounted here, so none is filled")
    if not chaos.limits:
        print("control groups cannot be made here, so nothing is lent and no memory is pressed")
    try:
        chaos.run()
        wrong = None
    except (Wrong, subprocess.TimeoutExpired) as failure:
        wrong = failure
        print(f"log of the service:\n{chaos.log()[-8000:]}")
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
