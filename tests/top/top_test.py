"""pocket top: what it says of tenants, models and runners, to whom, and what it does to a terminal."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../process"))
from support import POCKET, PocketTest, is_running, main, read, wait_until

CLIENT = os.path.join(os.path.dirname(POCKET), "scenario-client")
ECHO = ("mode = 'echo'\n[[inputs]]\nname = 'x'\ndtype = 'float32'\nshape = [4]\n"
        "[[outputs]]\nname = 'y'\ndtype = 'float32'\nshape = [4]\n")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """`pocket top` as the foreground process of a terminal of its own."""

    def __init__(self, environment, rows, columns, *arguments):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.resize(rows, columns)
        self.seen = ""
        self.process = subprocess.Popen(
            [POCKET, "top", *arguments], env=dict(environment, TERM="xterm"), stdin=self.slave,
            stdout=self.slave, stderr=self.slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys):
        os.write(self.master, keys.encode())

    def take_in(self):
        while select.select([self.master], [], [], 0)[0]:
            self.seen += os.read(self.master, 65536).decode()

    def frame(self):
        """The rows of the last whole picture, without what colours or places them."""
        self.take_in()
        pictures = self.seen.split("\x1b[H")
        for picture in reversed(pictures):
            if "\x1b[0m" in picture:
                return ESCAPE.sub("", picture).replace("\r", "").split("\n")
        return []

    def wait_for(self, text):
        return wait_until(lambda: (rows := self.frame()) and any(text in row for row in rows) and rows, text)

    def is_as_before(self):
        return termios.tcgetattr(self.slave) == self.before

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        for end in (self.master, self.slave):
            os.close(end)


class TopTest(PocketTest):
    def setUp(self):
        super().setUp()
        self.socket = f"{self.folder}/pocket.sock"
        self.environment["POCKET_SOCKET"] = self.socket
        texts = {"echo": ECHO, "busy": "busy_us = 2000\n" + ECHO, "other": "# another copy\n" + ECHO}
        for model, text in texts.items():
            os.makedirs(f"{self.folder}/models/{model}/1")
            with open(f"{self.folder}/models/{model}/1/model.null", "w", encoding="utf-8") as file:
                file.write(text)
        config = f"{self.folder}/pocketd.toml"
        with open(config, "w", encoding="utf-8") as file:
            for tenant in ("camera", "shop"):
                file.write(f"[[socket]]\npath = '{self.folder}/{tenant}.sock'\nmode = 0o666\n"
                           f"tenant = '{tenant}'\n")
            file.write("[tenant.camera]\nmodels = ['echo', 'busy']\n"
                       "[tenant.shop]\nmodels = ['*']\ncalls_per_second = 0.001\n")
        self.service = subprocess.Popen(
            [os.path.join(os.path.dirname(POCKET), "pocketd"), "--config", config, "--socket", self.socket,
             "--models", f"{self.folder}/models"], env=self.environment, stderr=subprocess.DEVNULL)
        self.addCleanup(self.end, self.service, signal.SIGTERM)
        wait_until(lambda: self.pocket("service", "status").returncode == 0, "the service")

    @staticmethod
    def end(process, how=signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(how)
        process.wait(timeout=30)

    def client(self, tenant, *arguments):
        environment = dict(self.environment, POCKET_SOCKET=f"{self.folder}/{tenant}.sock",
                           POCKET_RETRY="0")
        client = subprocess.Popen([CLIENT, *arguments], env=environment, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(client.stdout.close)
        self.addCleanup(self.end, client)
        return client

    def figures(self, *arguments):
        done = self.pocket("top", "--json", "--interval", "0.1", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    @staticmethod
    def named(rows):
        return {row["name"]: row for row in rows}

    def terminal(self, rows, columns, *arguments):
        terminal = Terminal(self.environment, rows, columns, *arguments)
        self.addCleanup(terminal.end)
        return terminal

    def test_counts_calls_where_they_were_made(self):
        self.assertEqual(self.client("camera", "echo", "30").wait(timeout=30), 0)
        self.assertEqual(self.client("camera", "busy", "10").wait(timeout=30), 0)
        self.client("shop", "--at-once", "1", "echo", "5").wait(timeout=30)
        figures = self.figures()
        tenants, models = self.named(figures["tenants"]), self.named(figures["models"])
        self.assertEqual(tenants["camera"]["total_calls"], 40)
        self.assertEqual(tenants["shop"]["total_calls"], 1, "a second's calls are a thousandth")
        self.assertEqual(tenants["shop"]["total_refused"], 1)
        self.assertEqual(models["echo 1"]["total_calls"], 31)
        self.assertEqual(models["busy 1"]["total_calls"], 10)
        self.assertGreaterEqual(models["busy 1"]["total_cpu_seconds"], 0.01)
        self.assertNotIn("other 1", models, "it is not loaded")
        self.assertIsNone(models["echo 1"]["run_p50_ms"], "nobody calls now")
        self.assertEqual({"echo 1", "busy 1"}, set(models))
        runners = {runner["pid"] for runner in figures["runners"]}
        self.assertTrue(runners)
        self.assertTrue(all(is_running(pid) for pid in runners))
        self.assertEqual(sum(runner["total_calls"] for runner in figures["runners"]), 41)
        # While calls are made there are rates, and times of the right size.
        self.client("camera", "--at-once", "4", "busy", "100000")
        busy = wait_until(lambda: (now := self.named(self.figures()["models"])["busy 1"])
                          ["calls_per_second"] > 0 and now, "calls of this moment")
        self.assertGreaterEqual(busy["run_p99_ms"], busy["run_p50_ms"])
        self.assertGreater(busy["run_p50_ms"], 1.5, "each is busy for 2 ms")
        self.assertGreater(busy["processors"], 0)
        self.assertGreater(busy["cpu_share"], 0.99)
        self.assertEqual(self.named(self.figures()["tenants"])["camera"]["clients"], 1)

    def test_a_tenant_sees_its_own(self):
        self.assertEqual(self.client("camera", "echo", "3").wait(timeout=30), 0)
        self.assertEqual(self.client("shop", "other", "1").wait(timeout=30), 0)
        text = json.dumps(self.figures("--socket", f"{self.folder}/camera.sock"))
        own = json.loads(text)
        self.assertEqual([row["name"] for row in own["tenants"]], ["camera"])
        self.assertEqual([row["name"] for row in own["models"]], ["echo 1"])
        self.assertEqual(own["tenants"][0]["total_calls"], 3)
        self.assertEqual(own["runners"], [])
        self.assertNotIn("shop", text)
        self.assertNotIn("other", text)
        self.assertIn("other 1", self.named(self.figures()["models"]), "an administrator sees all")

    def test_in_a_pipe_it_prints_once(self):
        self.assertEqual(self.client("camera", "echo", "3").wait(timeout=30), 0)
        done = self.pocket("top", "--interval", "0.1", "--sort", "name")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("\x1b", done.stdout)
        self.assertEqual(done.stdout.count("TENANT "), 1)
        names = [line.split()[0] for line in done.stdout.splitlines() if line]
        self.assertLess(names.index("camera"), names.index("shop"))
        done = self.pocket("top", "--interval", "0.1", "--sort", "name", "--reverse")
        names = [line.split()[0] for line in done.stdout.splitlines() if line]
        self.assertLess(names.index("shop"), names.index("camera"))
        self.assert_refused(self.pocket("top", "--sort", "colour"), 2, "colour")
        self.assert_refused(self.pocket("top", "--once", "--socket", "/nowhere/x"), 1, "/nowhere/x")

    def test_on_a_terminal_it_goes_on_until_q(self):
        terminal = self.terminal(30, 200, "--interval", "0.1")
        terminal.wait_for("TENANT")
        self.assertIn("\x1b[?1049h", terminal.seen, "the other screen")
        self.assertFalse(terminal.is_as_before(), "keys are taken as they are pressed")
        self.assertEqual(self.client("camera", "echo", "3").wait(timeout=30), 0)
        terminal.wait_for("echo 1")  # by itself
        terminal.type("s")
        terminal.wait_for("sort: memory")
        terminal.type("r")
        terminal.wait_for("sort: memory, reversed")
        terminal.resize(6, 40)
        rows = wait_until(lambda: len(rows := terminal.frame()) <= 6 and rows, "a smaller picture")
        self.assertTrue(all(len(row) <= 40 for row in rows), rows)
        self.assertTrue(any("q quit" in row for row in rows), rows)
        terminal.type("q")
        self.assertEqual(terminal.process.wait(timeout=30), 0)
        terminal.take_in()
        self.assertTrue(terminal.is_as_before())
        self.assertTrue(terminal.seen.endswith("\x1b[?25h\x1b[?1049l"), "the first screen and its cursor")

    def test_signals_give_the_terminal_back(self):
        for how in ("\x03", signal.SIGTERM):
            terminal = self.terminal(24, 80)
            terminal.wait_for("TENANT")
            if isinstance(how, str):
                terminal.type(how)
            else:
                terminal.process.send_signal(how)
            self.assertEqual(terminal.process.wait(timeout=30), 0)
            terminal.take_in()
            self.assertTrue(terminal.is_as_before(), how)
            self.assertTrue(terminal.seen.endswith("\x1b[?1049l"), how)
        # Stopped by Ctrl-Z the terminal is the shell's meanwhile.
        terminal = self.terminal(24, 80)
        terminal.wait_for("TENANT")
        terminal.type("\x1a")
        state = f"/proc/{terminal.process.pid}/stat"
        wait_until(lambda: read(state).rpartition(")")[2].split()[0] == "T", "that it is stopped")
        self.assertTrue(terminal.is_as_before())
        terminal.take_in()
        self.assertTrue(terminal.seen.endswith("\x1b[?1049l"))
        terminal.process.send_signal(signal.SIGCONT)
        wait_until(lambda: not terminal.is_as_before(), "that it is back")

    def test_a_service_that_is_gone_is_told_and_looked_for(self):
        terminal = self.terminal(24, 160, "--interval", "0.1")
        terminal.wait_for("TENANT")
        self.end(self.service, signal.SIGTERM)
        rows = wait_until(lambda: (rows := terminal.frame()) and not any("q quit" in row for row in rows)
                          and rows, "what is wrong")
        self.assertTrue(any("TENANT" in row for row in rows), "what was known last stays")
        self.assertIsNone(terminal.process.poll())
        terminal.type("q")
        self.assertEqual(terminal.process.wait(timeout=30), 0)


if __name__ == "__main__":
    main()
