#!/usr/bin/env python3
"""self_test.py bare|docker|machine BUILD KERNEL: that a scenario can fail there, and that whatever
way it ends, nothing of it stays on this machine."""
import glob
import os
import signal
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import docker_engine  # noqa: E402
from machine import Job, Machine, MachineError  # noqa: E402
from process import SKIPPED, Skip, end_on_signals, start  # noqa: E402

BUILD, KERNEL = "", ""
CLIENT = f"held-{os.getpid()}"
HELD = f"""
null_model echo echo
start_service
start_client {CLIENT} --cpus 0.2 --memory 64m -- scenario-client echo 1 {CLIENT} hold
wait_for_output {CLIENT} "answered 1"
echo holding
"""


def left_by(pid):
    """Work folders, control groups and clients of the runner with this process id."""
    with open("/proc/mounts", encoding="utf-8") as file:
        mounts = [line.split() for line in file]
    tops = [row[1] for row in mounts if row[2] in ("cgroup", "cgroup2")] + [tempfile.gettempdir()]
    left = [path for top in tops for path in glob.glob(f"{top}/pocket-*-{pid}-*")]
    for name in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(name, "rb") as file:
                command = file.read()
        except OSError:
            continue
        if CLIENT.encode() in command:
            left.append(f"{name}: {command}")
    return left


class OnThisMachine:
    """For bare and docker: the runner as a program, with a scenario made for the purpose."""
    host = ""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="pocket-self-test-")
        self.addCleanup(self.folder.cleanup)
        os.symlink(os.path.join(HERE, "lib"), f"{self.folder.name}/lib")

    def runner(self, text, *options):
        path = f"{self.folder.name}/case.sh"
        with open(path, "w", encoding="utf-8") as file:
            file.write('. "$(dirname "$0")/lib/scenario.sh"\n' + text)
        return start([sys.executable, os.path.join(HERE, "run.py"), self.host, "--build", BUILD,
                      *options, path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def check(self, runner, status, text):
        output, _ = runner.communicate(timeout=120)
        self.assertEqual(runner.returncode, status, output)
        self.assertIn(text, output)
        self.assertEqual(left_by(runner.pid), [], output)

    def test_failure_and_what_is_left_behind(self):
        self.check(self.runner(HELD + "nothing_left\n"), 1, "FAILED: left behind: process")

    def test_termination(self):
        runner = self.runner(HELD + "sleep 60\n")
        output = ""
        while "holding" not in output:
            line = runner.stdout.readline()
            self.assertTrue(line, output)
            output += line
        runner.send_signal(signal.SIGTERM)
        self.check(runner, 128 + signal.SIGTERM, "")


class Bare(OnThisMachine, unittest.TestCase):
    host = "bare"

    def test_time_out(self):
        self.check(self.runner(HELD + "sleep 60\n", "--seconds", "3"), 1, "not done in time")

    def test_wrong_expectation(self):
        self.check(self.runner("expect answer 1 2\n"), 1, "FAILED: answer: expected '1', got '2'")

    def test_reader_that_goes_away(self):
        runner = self.runner(HELD + "while :; do echo more; sleep 0.05; done\n")
        runner.stdout.close()
        self.assertEqual(runner.wait(120), 1)
        self.assertEqual(left_by(runner.pid), [])

    def test_skip(self):
        self.check(self.runner("skip because\n"), SKIPPED, "skipped: because")


class Docker(OnThisMachine, unittest.TestCase):
    host = "docker"

    def test_engine_that_cannot_start(self):
        good = docker_engine.COVER
        docker_engine.COVER = "echo the reason in its log; exit 1"
        self.addCleanup(setattr, docker_engine, "COVER", good)
        with self.assertRaisesRegex(Skip, "the reason in its log"):
            with docker_engine.DockerEngine({}):
                self.fail("it started")
        self.assertEqual(left_by(os.getpid()), [])


class EmulatedMachine(unittest.TestCase):
    def test_status_comes_back(self):
        jobs = [Job("good", "echo from inside"), Job("bad", "exit 7")]
        Machine(KERNEL).run(jobs)
        self.assertEqual([(job.status, job.output) for job in jobs],
                         [(0, "from inside\n"), (7, "")])

    def test_time_out(self):
        with self.assertRaisesRegex(MachineError, "was killed after 1 s, without the end of 'long'"):
            Machine(KERNEL).run([Job("long", "sleep 1000")], seconds=1)


CASES = {"bare": Bare, "docker": Docker, "machine": EmulatedMachine}


def cannot(host):
    """Why nothing can be tried here; None where it can."""
    if host != "machine" and os.geteuid() != 0:
        return "groups and containers need root"
    try:
        if host == "docker":
            with docker_engine.DockerEngine({}):
                pass
        if host == "machine":
            Machine(KERNEL)
    except Skip as reason:
        return reason
    return None


if __name__ == "__main__":
    chosen, BUILD, KERNEL = sys.argv[1:]
    end_on_signals()
    if why_not := cannot(chosen):
        print(f"skipped: {why_not}")
        sys.exit(SKIPPED)
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(CASES[chosen])
    sys.exit(0 if unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful() else 1)
