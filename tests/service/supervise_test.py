"""pocket service run with its supervisor: what is killed comes back, and what ends leaves nothing."""
import glob
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../process"))
from support import POCKET, PocketTest, can_limit, group_trees, is_running, main, read, wait_until

CLIENT = os.path.join(os.path.dirname(POCKET), "scenario-client")
ECHO = ("mode = 'echo'\n[[inputs]]\nname = 'x'\ndtype = 'float32'\nshape = [4]\n"
        "[[outputs]]\nname = 'y'\ndtype = 'float32'\nshape = [4]\n")


def parent_of(pid):
    return int(re.search(r"^PPid:\s+(\d+)", read(f"/proc/{pid}/status"), re.M)[1])


def name_of(pid):
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except PermissionError:
        return "somebody else's program"


def pss_kib(pid):
    return int(re.search(r"^Pss:\s+(\d+)", read(f"/proc/{pid}/smaps_rollup"), re.M)[1])


class ServiceTest(PocketTest):
    def setUp(self):
        super().setUp()
        self.socket = f"{self.folder}/pocket.sock"
        self.log = f"{self.folder}/pocketd.log"
        self.cgroup = f"pocket-{self.token}"
        self.environment["POCKET_SOCKET"] = self.socket
        for name in ("INVOCATION_ID", "NOTIFY_SOCKET"):
            self.environment.pop(name, None)
        self.write("models/echo/1/model.null", ECHO)
        self.addCleanup(self.end_service)

    def processes(self):
        """Supervisors and pocketds of this test, whoever started them."""
        found = []
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                words = read(path).split("\0")
            except OSError:
                continue
            if (os.path.basename(words[0]) in ("pocket-supervisor", "pocketd")
                    and f"{self.folder}/models" in words):
                found.append(int(path.split("/")[2]))
        return found

    def end_service(self):
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        wait_until(lambda: not any(is_running(pid) for pid in self.processes()), "the end of everything")
        for tree in group_trees():
            if os.path.isdir(f"{tree}/{self.cgroup}"):
                os.rmdir(f"{tree}/{self.cgroup}")

    def write(self, name, text):
        path = f"{self.folder}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def config(self, text=""):
        budget = f"[budget]\ncgroup = '{self.cgroup}'\n" + ("cpus = 1.0\n" if can_limit() else "")
        return self.write("pocketd.toml", text + budget)

    def arguments(self, *more):
        return ("service", "run", "--models", f"{self.folder}/models", *more)

    def run_detached(self, *more):
        """pocketd and its parent."""
        done = self.pocket(*self.arguments("-d", *more))
        self.assertEqual(done.returncode, 0, done.stderr)
        pid = int(re.fullmatch(r"pocketd is ready \(process (\d+)\)\n", done.stdout)[1])
        self.assertEqual(name_of(pid), "pocketd")
        self.assertEqual(self.answering(), pid)
        parent = parent_of(pid)
        return pid, parent

    def answering(self):
        """The process that answers on the socket; None: nobody does."""
        done = self.pocket("service", "status", "--json")
        if done.returncode != 0:
            return None
        pid = json.loads(done.stdout)["pid"]
        return pid

    def runners(self):
        done = self.pocket("service", "status", "--json")
        return [runner["pid"] for runner in json.loads(done.stdout)["runners"]]

    def service_groups(self):
        return [path for tree in group_trees() for path in glob.glob(f"{tree}/{self.cgroup}/*/")]

    def ledgers(self):
        """Where this service may remember its loans: a tmpfs, or beside its socket."""
        name = self.socket.lstrip("/").replace("/", "_")
        return [path for folder in (self.environment.get("XDG_RUNTIME_DIR"), "/run", "/dev/shm")
                for path in glob.glob(f"{folder}/pocket-ledger-*/{name}")] + \
            glob.glob(self.socket + ".ledger")

    def assert_nothing_left(self):
        self.assertEqual(self.ledgers(), [])
        self.assertEqual(sorted(os.listdir(self.folder)),
                         sorted({"models", "pocketd.log", "pocketd.toml", "pocket-run"}
                                & set(os.listdir(self.folder))), "files are left behind")
        wait_until(lambda: not self.service_groups(), "the end of the runners' groups")


class Supervised(ServiceTest):
    def test_a_killed_pocketd_answers_again(self):
        pid, supervisor = self.run_detached()
        self.assertEqual(name_of(supervisor), "pocket-supervisor")
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        new = wait_until(lambda: (now := self.answering()) != pid and now, "another pocketd")
        took = time.monotonic() - began
        print(f"answers again {took * 1000:.0f} ms after kill -9, asked by a new `pocket` each time")
        self.assertLess(took, 5)
        self.assertEqual(parent_of(new), supervisor)
        self.assertRegex(read(self.log), r"warning pocket-supervisor: pocketd was killed by signal 9 "
                                         r"\(Killed\) after \d+\.\d s; started again now")
        memory = pss_kib(supervisor)
        print(f"the supervisor's memory (PSS): {memory} KiB")
        if "asan" not in read(f"/proc/{supervisor}/maps") and "tsan" not in read(
                f"/proc/{supervisor}/maps"):
            self.assertLess(memory, 1536)
        # Signals, both ends of the keeper, and what is kept: the listening socket and the state.
        wait_until(lambda: len(os.listdir(f"/proc/{supervisor}/fd")) == 3 + 3 + 2,
                   "that nothing else is kept")
        self.assertEqual(os.listdir(f"/proc/{supervisor}/task"), [str(supervisor)])

    def test_its_lines_are_json_where_the_log_is(self):
        pid, supervisor = self.run_detached("--config", self.config("[log]\nformat = 'json'\n"))
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.answering() not in (pid, None), "another pocketd")
        lines = [json.loads(line) for line in read(self.log).splitlines()]
        said = [line for line in lines if line["program"] == "pocket-supervisor"]
        self.assertEqual(len(said), 1, lines)
        self.assertEqual((said[0]["level"], said[0]["pid"]), ("warning", supervisor))
        self.assertIn("started again now", said[0]["message"])
        self.assertRegex(said[0]["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d$")
        self.assertEqual(set(said[0]), set(lines[0]), "as pocketd's")

    def test_a_crash_loop_backs_off_and_is_given_up(self):
        pid, supervisor = self.run_detached("--config", self.config())
        self.write("pocketd.toml", "[service]\nmodles = 'x'\n")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_running(supervisor), "the supervisor's end")
        log = read(self.log)
        again = re.findall(r"pocket-supervisor: .* started again (.*)", log)
        self.assertEqual(again, ["now", "in 0.1 s", "in 0.2 s", "in 0.4 s", "in 0.8 s"], log)
        self.assertEqual(log.count("ended with status 1"), 5, log)
        self.assertEqual(log.count("modles"), 5, "each says what it does not like")
        self.assertRegex(log, "error pocket-supervisor: .*gives up, because it did not become ready 5 "
                              "times in a row: .*`pocket service run`")
        self.assertIsNone(self.answering())

    def test_kill_9_of_the_supervisor_leaves_nothing(self):
        pid, supervisor = self.run_detached("--config", self.config())
        self.assertEqual(self.pocket("models", "load", "echo").returncode, 0)
        runners = self.runners()
        self.assertEqual(len(runners), 1)
        os.kill(supervisor, signal.SIGKILL)
        for process in (pid, *runners):
            wait_until(lambda process=process: not is_running(process), f"the end of {process}")
        self.assert_nothing_left()

    def test_a_hangup_signal_has_the_configuration_read_anew(self):
        pid, supervisor = self.run_detached("--config", self.config("[limits]\nsessions = 100\n"))
        self.config("[limits]\nsessions = 200\n")
        os.kill(supervisor, signal.SIGHUP)
        wait_until(lambda: "changed: limits.sessions: 200, was 100" in read(self.log), "the new limit")
        self.assertEqual(self.answering(), pid)
        self.assertTrue(is_running(supervisor))

    def test_service_kill_ends_both(self):
        pid, supervisor = self.run_detached("--config", self.config())
        self.assertEqual(self.pocket("models", "load", "echo").returncode, 0)
        if can_limit():
            self.assertTrue(self.ledgers(), "no ledger")
            self.assertNotEqual(self.service_groups(), [])
        done = self.pocket("service", "kill")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse(is_running(pid))
        wait_until(lambda: not is_running(supervisor), "the supervisor's end")
        self.assertIsNone(self.answering(), "it was started again")
        self.assert_nothing_left()

    def test_what_it_does_not_like_at_first_is_told_at_once(self):
        config = self.config("[models]\npreload = ['nothing']\n")
        for detach in (("-d",), ()):
            done = self.pocket(*self.arguments(*detach, "--config", config))
            self.assertEqual(done.returncode, 1)
            self.assertIn("nothing", done.stderr)
            self.assertNotIn("started again", done.stderr)
        done = self.pocket(*self.arguments("-d", "--config", f"{self.folder}/none.toml"))
        self.assert_refused(done, 1, "none.toml", "pocketd ended before it was ready; its message is above")

    def test_in_the_foreground(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            process = self.start(*self.arguments())
            pid = wait_until(self.answering, "an answer")
            self.assertEqual(parent_of(pid), process.pid)
            os.kill(pid, signal.SIGKILL)
            new = wait_until(lambda pid=pid: (now := self.answering()) != pid and now,
                             "another pocketd")
            process.send_signal(number)
            error = process.communicate(timeout=30)[1]
            self.assertEqual(process.returncode, 0, error)
            self.assertFalse(is_running(new))
            self.assertIn("was killed by signal 9 (Killed)", error)
            self.assert_nothing_left()

    def test_it_keeps_no_pipe_open(self):
        """Whoever reads the output of `service run -d` to its end is not held up, also where runners
        are started before it is ready."""
        config = self.config("[models]\npreload = ['echo']\n")
        done = subprocess.run(f"'{POCKET}' service run -d --models '{self.folder}/models' "
                              f"--config '{config}' 2>&1 | cat", shell=True, env=self.environment, capture_output=True, text=True,
                              timeout=30, check=True)
        self.assertIn("is ready", done.stdout)
        self.assertIsNotNone(self.answering())
        self.assertEqual(self.pocket("service", "kill").returncode, 0)


class Unsupervised(ServiceTest):
    def check_not_supervised(self, *more):
        pid, parent = self.run_detached(*more)
        self.assertNotEqual(name_of(parent), "pocket-supervisor")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_running(pid), "its end")
        self.assertIsNone(self.answering())

    def test_where_it_is_not_wanted(self):
        self.check_not_supervised("--no-supervise")
        self.environment["INVOCATION_ID"] = "0123"
        self.check_not_supervised()
        _, parent = self.run_detached("--supervise")
        self.assertEqual(name_of(parent), "pocket-supervisor")
        self.assertEqual(self.pocket("service", "kill").returncode, 0)
        self.assert_refused(self.pocket("service", "run", "--supervise", "--no-supervise"), 2,
                            "supervise")

    def test_systemd_hears_of_readiness(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(f"{self.folder}/notify")
            manager.settimeout(30)
            self.environment["NOTIFY_SOCKET"] = f"{self.folder}/notify"
            process = self.start(*self.arguments())
            self.assertEqual(manager.recv(100), b"READY=1")
            self.assertEqual(self.answering(), process.pid, "systemd knows this process")
            self.assertEqual(self.pocket("models", "load", "echo").returncode, 0)
            for runner in self.runners():
                self.assertNotIn("NOTIFY_SOCKET", read(f"/proc/{runner}/environ"))
        process.terminate()
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0)

    def test_systemd_keeps_what_runs(self):
        """Played by this test: it stores what pocketd hands in and gives it to the next one."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(f"{self.folder}/notify")
            manager.settimeout(30)
            self.environment.update(NOTIFY_SOCKET=f"{self.folder}/notify", POCKET_FDSTORE="1")
            kept = {}
            first = self.start(*self.arguments())
            self.store_until_ready(manager, kept)
            client = subprocess.Popen([CLIENT, "echo", "3", "kept", "hold"], env=self.environment,
                                      stdout=subprocess.PIPE, text=True)
            while client.stdout.readline() not in ("answered 3\n", ""):
                pass
            runners = self.runners()
            self.store(manager, kept)
            self.assertIn(f"listen-{self.socket}", kept)
            self.assertEqual(len([name for name in kept if name.startswith("runner-")
                                  and name.endswith("-control")]), 1, kept)
            first.kill()
            first.wait()  # its runner goes on, and holds its standard error open
            first.stdout.close()
            first.stderr.close()
            second = self.start_with(kept)
            self.store_until_ready(manager, kept)
            self.assertEqual(self.answering(), second.pid)
            self.assertEqual(self.runners(), runners)
            self.assertIsNone(client.poll())
            client.terminate()
            self.assertEqual(client.communicate(timeout=30)[0], "", "it noticed something")
            self.assertEqual(client.returncode, 0)
            second.terminate()
            second.communicate(timeout=30)
            self.assertEqual(second.returncode, 0)
            for fd in kept.values():
                os.close(fd)

    @staticmethod
    def store(manager, kept, text=b""):
        """Takes in what was said so far, or until `text` is."""
        manager.settimeout(30 if text else 0)
        while True:
            try:
                said, fds, _, _ = socket.recv_fds(manager, 1000, 8)
            except BlockingIOError:
                return
            lines = dict(line.split("=", 1) for line in said.decode().splitlines())
            if lines.get("FDSTOREREMOVE") == "1" and lines["FDNAME"] in kept:
                os.close(kept.pop(lines["FDNAME"]))
            for fd in fds:
                kept[lines["FDNAME"]] = fd
            if text and said == text:
                return

    def store_until_ready(self, manager, kept):
        self.store(manager, kept, b"READY=1")

    def start_with(self, kept):
        """pocketd with these descriptors as 3, 4 ..., as systemd starts it."""
        moves = ("import fcntl, os, sys\nhigh = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 200) for fd in "
                 "sys.argv[1].split(',')]\nfor at, fd in enumerate(high): os.dup2(fd, 3 + at)\n"
                 "os.closerange(200, 300)\nos.environ['LISTEN_PID'] = str(os.getpid())\n"
                 "os.execv(sys.argv[2], sys.argv[2:])\n")
        environment = dict(self.environment, LISTEN_FDS=str(len(kept)), LISTEN_FDNAMES=":".join(kept))
        return subprocess.Popen([sys.executable, "-c", moves, ",".join(map(str, kept.values())), POCKET,
                                 *self.arguments()], env=environment, text=True, pass_fds=kept.values(),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@unittest.skipUnless(can_limit(), "this user may not make cgroups here")
class Loans(ServiceTest):
    def start_lender(self):
        """A client with half a processor, which lends half of that as long as it is connected."""
        client = self.start("run", "-t", self.name(), "-c", "0.5", "--cpu-policy", "conn,ratio,0.5",
                            "--mem-policy", "none", "--", CLIENT, "echo", "3", "lender", "hold")
        while client.stdout.readline() not in ("answered 3\n", ""):
            pass
        return client

    def quota(self):
        return int(self.group_file("cpu.cfs_quota_us", "cpu.max").split()[0])

    def test_loans_of_a_killed_pocketd_come_home(self):
        pid, _ = self.run_detached("--config", self.config())
        client = self.start_lender()
        try:
            wait_until(lambda: self.quota() == 25_000, "half of the client's budget is lent")
            old_groups = self.service_groups()
            runners = self.runners()
            self.assertNotEqual(old_groups, [])
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: self.answering() not in (pid, None), "another pocketd")
            self.assertEqual(self.runners(), runners, "it was not taken over")
            self.assertEqual(self.service_groups(), old_groups)
            wait_until(lambda: self.quota() == 25_000, "the client lends to the same runner again")
            leases = json.loads(self.pocket("leases", "--json").stdout)
            self.assertTrue(all(account["conserved"] for account in leases["accounts"]), leases)
            self.assertIsNone(client.poll(), "the client noticed")
        finally:
            client.terminate()
            client.communicate(timeout=30)
        self.assertEqual(self.pocket("service", "kill").returncode, 0)
        self.assert_nothing_left()

    def test_loans_come_home_also_to_a_service_that_lends_nothing(self):
        pid, _ = self.run_detached("--no-supervise", "--config", self.config())
        client = self.start_lender()
        try:
            wait_until(lambda: self.quota() == 25_000, "half of the client's budget is lent")
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not is_running(pid), "its end")
            self.assertEqual(self.quota(), 25_000, "who gave it back?")
            self.run_detached("--config", self.write("other.toml", f"[budget]\ncgroup = '{self.cgroup}'\n"))
            self.assertEqual(self.quota(), 50_000)
            wait_until(lambda: not self.service_groups(), "the end of the killed service's groups")
        finally:
            client.terminate()
            client.communicate(timeout=30)
        os.unlink(f"{self.folder}/other.toml")
        self.assertEqual(self.pocket("service", "kill").returncode, 0)
        self.assert_nothing_left()

    def test_what_a_run_lends_is_shown(self):
        self.run_detached("--config", self.config())
        client = self.start_lender()
        try:
            wait_until(lambda: self.quota() == 25_000, "half of the client's budget is lent")
            used = json.loads(self.pocket("rusage", self.name(), "--json").stdout)
            listed = self.listed()[self.name()]["usage"]
            for shown in (used, listed):
                self.assertEqual(shown["lent_cpu"], 0.25)
                self.assertEqual(shown["borrowed_cpu"], 0)
                self.assertEqual(shown["lent_memory_bytes"], 0)
                self.assertNotIn("lending_note", shown)
            self.assertRegex(self.pocket("rusage", self.name()).stdout, r"(?m)^lent +0\.250 cpu$")
            self.assertIn("0.250 cpu", self.pocket("ps").stdout)
            self.assertEqual(self.pocket("service", "kill").returncode, 0)
            wait_until(lambda: self.quota() == 50_000, "the client has its budget back")
            used = json.loads(self.pocket("rusage", self.name(), "--json").stdout)
            self.assertNotIn("lent_cpu", used)
            self.assertIn(self.socket, used["lending_note"])
            self.assertIn("not known", self.pocket("rusage", self.name()).stdout)
        finally:
            client.terminate()
            client.communicate(timeout=30)


if __name__ == "__main__":
    main()
