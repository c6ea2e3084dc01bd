"""pocket run in the foreground: exit status, signals, several at once, environment, bad input."""
import json
import os
import shutil
import signal
import sys
import subprocess

from support import POCKET, PocketTest, main, touch

TRAP = "trap 'exit {0}' {1}; echo ready; while :; do sleep 0.02; done"


class Status(PocketTest):
    def test_exit_status_is_passed_on(self):
        for status in (0, 1, 7, 255):
            answer = self.pocket("run", "--", "sh", "-c", f"exit {status}")
            self.assertEqual(answer.returncode, status, answer.stderr)

    def test_death_by_a_signal_is_128_and_the_signal(self):
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV):
            answer = self.pocket("run", "--", "sh", "-c", f"kill -{int(number)} $$")
            self.assertEqual(answer.returncode, 128 + number)

    def test_nothing_is_remembered_afterwards(self):
        self.pocket("run", "-t", self.name(), "--", "true")
        self.assertEqual(self.listed("-a"), {})
        self.assertEqual(self.groups(), [])

    def test_standard_streams_are_inherited(self):
        answer = self.pocket("run", "--", "sh", "-c", "cat; echo error >&2", input="in\n")
        self.assertEqual((answer.stdout, answer.stderr), ("in\n", "error\n"))

    def test_arguments_arrive_as_they_are(self):
        words = ["a b", "$HOME", "--", "-x", "", "`id`", "*"]
        answer = self.pocket("run", "--", "printf", "<%s>", *words)
        self.assertEqual(answer.stdout, "".join(f"<{word}>" for word in words))

    def test_options_after_the_program_are_the_programs(self):
        answer = self.pocket("run", "echo", "--memory", "-d")
        self.assertEqual(answer.stdout, "--memory -d\n")


class Signals(PocketTest):
    def test_they_are_passed_on(self):
        for name in ("TERM", "INT", "HUP", "USR1"):
            process = self.start("run", "--", "sh", "-c", TRAP.format(9, name))
            self.assertEqual(process.stdout.readline(), "ready\n")
            process.send_signal(getattr(signal, "SIG" + name))
            process.communicate(timeout=30)
            self.assertEqual(process.returncode, 9, name)

    def test_to_every_program(self):
        process = self.start("run", "--count", "3", "--", "sh", "-c", TRAP.format(5, "TERM"))
        for _ in range(3):
            self.assertEqual(process.stdout.readline(), "ready\n")
        process.terminate()
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 5)

    def test_the_program_has_none_blocked(self):
        answer = self.pocket("run", "--", "grep", "SigBlk", "/proc/self/status")
        self.assertEqual(int(answer.stdout.split()[1], 16), 0)


class Several(PocketTest):
    def test_each_has_its_name_and_status(self):
        report = f"{self.folder}/report.json"
        script = 'n=$(wc -l < "$0"); echo >> "$0"; exit 0'
        counter = f"{self.folder}/counter"
        touch(counter)
        answer = self.pocket("run", "-t", self.name(), "--count", "3", "--rusage", report, "--", "sh",
                             "-c", script, counter)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        with open(report, encoding="utf-8") as text:
            rows = json.load(text)
        self.assertEqual([row["name"] for row in rows], [self.name(f"a-{n}") for n in (1, 2, 3)])
        self.assertEqual(os.path.getsize(counter), 3)

    def test_the_first_status_that_is_not_zero_counts(self):
        # Whoever makes the folder first succeeds; the others fail with 6.
        answer = self.pocket("run", "--count", "3", "--", "sh", "-c",
                             f"mkdir {self.folder}/won 2>/dev/null || exit 6")
        self.assertEqual(answer.returncode, 6)

    def test_a_name_that_runs_is_refused(self):
        process = self.start("run", "-t", self.name(), "--", "sh", "-c", "echo ready; cat",
                             stdin=subprocess.PIPE)
        process.stdout.readline()
        self.assert_refused(self.pocket("run", "-t", self.name(), "--", "true"), 1, self.name(),
                            "--name")
        process.communicate("", timeout=30)
        self.assertEqual(self.pocket("run", "-t", self.name(), "--", "true").returncode, 0)


class Settings(PocketTest):
    def test_environment(self):
        answer = self.pocket("run", "-e", "A=1=2", "-e", "B=", "--socket", "/x/pocket.sock",
                             "--cpu-policy", "func,ratio,0.5", "--mem-policy", "conn,none", "--", "env")
        for line in ("A=1=2", "B=", "POCKET_SOCKET=/x/pocket.sock", "POCKET_CPU_POLICY=func,ratio,0.5",
                     "POCKET_MEM_POLICY=conn,none"):
            self.assertIn(line, answer.stdout.splitlines())

    def test_folder(self):
        self.assertEqual(self.pocket("run", "-w", self.folder, "--", "pwd").stdout.strip(), self.folder)
        self.assert_refused(self.pocket("run", "-w", "/nowhere", "--", "pwd"), 1, "--workdir", "/nowhere")

    def test_processors(self):
        cpu = min(os.sched_getaffinity(0))
        answer = self.pocket("run", "-i", str(cpu), "--", "grep", "Cpus_allowed_list",
                             "/proc/self/status")
        self.assertEqual(answer.stdout.split()[1], str(cpu))
        for index in ("4000", f"{cpu},4000"):
            self.assert_refused(self.pocket("run", "-i", index, "--", "true"), 1, "--index")

    def test_latency_and_counters(self):
        report = f"{self.folder}/report.json"
        # The kernel adds up a group's page faults now and then: a few of them may not be seen.
        work = "import time; bytearray(64 << 20); time.sleep(0.05)"
        answer = self.pocket("run", "--measure-latency", "--perf", "--rusage", report, "--", sys.executable,
                             "-c", work)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        with open(report, encoding="utf-8") as text:
            row = json.load(text)
        self.assertLess(row["exec_ms"], row["exit_ms"])
        self.assertGreaterEqual(row["exit_ms"] - row["exec_ms"], 49)
        self.assertGreater(row["page_faults_minor"], 0)
        missing = row["perf"].get("not_counted", {})
        for counter in ("page_faults", "context_switches", "task_clock_ns", "cycles"):
            self.assertNotEqual(counter in row["perf"], counter in missing, counter)
            if counter in row["perf"]:
                self.assertGreater(row["perf"][counter], 0)
            else:
                self.assertRegex(missing[counter], "not supported|not permitted|too few")
        text = self.pocket("run", "--rusage", "--measure-latency", "--", "true")
        self.assertEqual(text.stdout, "")
        for word in ("until exec", "until exit", "memory, peak", "faults, minor"):
            self.assertIn(word, text.stderr)


class BadInput(PocketTest):
    def test_values(self):
        for option, values in {"-m": ("12q", "-1m", "0", "nan", "99999999999g"),
                               "-c": ("-1", "NaN", "0", "inf", "two"),
                               "-i": ("x", "3-1", "-1"), "--count": ("0", "-1", "x"),
                               "-e": ("A", "=1"), "-t": ("../x", "a/b"), "-b": ("-v",),
                               "--engine": ("lxc",), "-v": ("nocolon",)}.items():
            for value in values:
                answer = self.pocket("run", f"{option}={value}" if option[1] == "-" else option + value,
                                     "--", "true")
                self.assert_refused(answer, 2)
                self.assertTrue(answer.stderr.strip(), (option, value))
        self.assert_refused(self.pocket("run", "-m", "12q", "--", "true"), 2, "12q", "128m")

    def test_program(self):
        self.assert_refused(self.pocket("run", "--"), 2, "command")
        self.assert_refused(self.pocket("run"), 2, "command")
        self.assert_refused(self.pocket("run", "--", "no-such-program"), 1, "no-such-program",
                            "No such file")
        self.assert_refused(self.pocket("run", "--", "/etc/passwd"), 1, "Permission denied")
        self.assert_refused(self.pocket("run", "--count", "3", "--", "no-such-program"), 1)
        self.assertEqual(self.listed("-a"), {})

    def test_policies(self):
        for flag in ("--cpu-policy", "--mem-policy"):
            for text in ("func,ratio,1.5", "func,ratio,-0.1", "func,ratio,nan", "fun,ratio,0.5", "conn"):
                answer = self.pocket("run", flag, text, "--", "touch", f"{self.folder}/started")
                self.assert_refused(answer, 2, flag, "policy:", "func|conn , ratio,R | minimum | none")
            answer = self.pocket("run", flag, "adaptive,ratio,0.25", "--", "true")
            self.assertEqual(answer.returncode, 0, answer.stderr)
        self.assertFalse(os.path.exists(f"{self.folder}/started"))

    def test_what_does_not_go_together(self):
        self.assert_refused(self.pocket("run", "--oom-kill-disable", "--", "true"), 1, "--memory")
        self.assert_refused(self.pocket("run", "--log", "x", "--", "true"), 1, "--detach")
        self.assert_refused(self.pocket("run", "--network", "host", "--", "true"), 1, "--image")

    def test_unknown_names(self):
        for command in ("wait", "rusage"):
            self.assert_refused(self.pocket(command, "nobody"), 1, "nobody", "pocket ps")
            self.assert_refused(self.pocket(command, "../nobody"), 1, "name")

    def test_a_registry_that_others_can_write_is_refused(self):
        os.mkdir(f"{self.folder}/pocket-run")
        os.chmod(f"{self.folder}/pocket-run", 0o777)
        self.assert_refused(self.pocket("run", "--", "true"), 1, "pocket-run", "XDG_RUNTIME_DIR")
        os.chmod(f"{self.folder}/pocket-run", 0o700)


class Unprivileged(PocketTest):
    """As a user who may not make groups."""

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0 or shutil.which("setpriv") is None:
            self.skipTest("needs root and setpriv, to become somebody else")
        shutil.copy(POCKET, f"{self.folder}/pocket")  # the build may lie where nobody can go
        os.mkdir(f"{self.folder}/run")
        os.chown(f"{self.folder}/run", 65534, 65534)
        self.environment["XDG_RUNTIME_DIR"] = f"{self.folder}/run"

    def as_nobody(self, *arguments):
        command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
                   f"{self.folder}/pocket", *arguments]
        return subprocess.run(command, env=self.environment, text=True, capture_output=True,
                              timeout=60, check=False, cwd="/")

    def test_runs_without_limits_and_is_silent(self):
        answer = self.as_nobody("run", "--", "sh", "-c", "id -u; exit 3")
        self.assertEqual((answer.returncode, answer.stdout, answer.stderr), (3, "65534\n", ""))
        told = self.as_nobody("run", "--verbose", "--", "true")
        self.assertIn("group of its caller", told.stderr)
        self.assertEqual(told.returncode, 0)

    def test_limits_are_refused(self):
        for option in (("-m", "64m"), ("-c", "0.5")):
            answer = self.as_nobody("run", *option, "--", "touch", f"{self.folder}/run/ran")
            self.assert_refused(answer, 1, "without its limits", "sudo")
        self.assertFalse(os.path.exists(f"{self.folder}/run/ran"))

    def test_detached_without_a_group(self):
        self.assertEqual(self.as_nobody("run", "-d", "-t", "x", "--", "sh", "-c", "exit 4").returncode, 0)
        self.assertEqual(self.as_nobody("wait", "x").returncode, 4)


class Completion(PocketTest):
    def test_completion_and_manual_know_the_commands(self):
        for shell in ("bash", "zsh", "fish"):
            text = self.pocket("completion", shell).stdout
            for word in ("run", "wait", "ps", "rusage", "oom-kill-disable", "prune"):
                self.assertIn(word, text, shell)
        manual = self.pocket("man").stdout
        for command in ("run", "wait", "ps", "rusage"):
            self.assertIn(f"pocket\\-{command}\\fR(1)", manual)
            self.assertEqual(self.pocket(command, "--help").returncode, 0)


if __name__ == "__main__":
    main()
