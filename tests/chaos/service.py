"""The service of the chaos test: supervised, on a tmpfs of its own, and what is left of it."""
import collections
import ctypes
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../process"))
from support import POCKET, can_limit, group_trees, is_running, read, wait_until

ECHO = ("mode = 'echo'\ndelay_us = {delay}\n[[inputs]]\nname = 'x'\ndtype = 'float32'\nshape = [-1]\n"
        "[[outputs]]\nname = 'y'\ndtype = 'float32'\nshape = [-1]\n")
DELAYS_US = {"instant": 0, "quick": 300, "busy": 2000, "slow": 15000}
TMPFS_BYTES = 24 << 20
TENANTS = 5


class Wrong(AssertionError):
    pass


def models():
    """By name: the text of a model of the null engine."""
    return {name: ECHO.format(delay=delay) + f"# {name}\n" for name, delay in DELAYS_US.items()}


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Service:
    def __init__(self):
        self.pocket = POCKET
        self.client = os.path.join(os.path.dirname(POCKET), "chaos-client")
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
        self.supervisor = None

    def write(self, name, text):
        os.makedirs(os.path.dirname(f"{self.outside}/{name}"), exist_ok=True)
        with open(f"{self.outside}/{name}", "w", encoding="utf-8") as file:
            file.write(text)

    def ask(self, *words, seconds=90):
        return subprocess.run([self.pocket, *words], env=self.environment, text=True, capture_output=True,
                              timeout=seconds, check=False)

    def start(self):
        for name, text in models().items():
            self.write(f"models/{name}/1/model.null", text)
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
        pocketd = int(done.stdout.split("process ")[1].split(")")[0])
        self.supervisor = int(read(f"/proc/{pocketd}/status").split("PPid:")[1].split()[0])

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

    def check_end(self):
        """With no client left, nothing of one is left; its memory in kB. Then it ends, and nothing of it is left."""
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
        except AssertionError as failure:
            raise Wrong(f"{failure}: {self.groups()}") from failure
        return memory

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
        """Whatever happened: nothing of it stays on the machine."""
        if self.supervisor:
            everybody = [self.supervisor, *self.children()]
            for pid in everybody:
                if is_running(pid):
                    os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not any(is_running(pid) for pid in everybody), "the end")
        self.ask("ps", "--prune")
        for path in self.groups():
            for folder, _, _ in os.walk(path, topdown=False):
                try:
                    os.rmdir(folder)
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
