"""pocket run --image: what Docker and Podman are asked, and what becomes of their answers.

A program in place of the engine writes down its arguments. That real engines understand them is
tested where a real engine is started.
"""
import json
import os
import signal
import socket
import unittest

from support import POCKET, PocketTest, can_limit, main, read, touch

ENGINE = r"""#!/bin/sh
# Arguments, one a line, each call ended by an empty line.
for argument in "$@"; do printf '%s\n' "$argument"; done >> "$FAKE/${0##*/}.calls"
printf '\n' >> "$FAKE/${0##*/}.calls"
fail() { echo "$1" >&2; exit "$2"; }
[ -e "$FAKE/${0##*/}.down" ] && fail "Cannot connect to the ${0##*/} daemon" 1
case "$1" in
  version) echo 99 ;;
  run)
    case " $* " in *" missing-image "*) fail "Unable to find image 'missing-image:latest'" 125 ;; esac
    case "$2" in --detach) echo 0123456789abcdef0123456789abcdef; exit 0 ;; esac
    while [ "$1" != image ]; do shift; done
    shift
    [ -e "$FAKE/tell" ] && echo "true $$ 0" > "$FAKE/state"
    exec "$@" ;;
  inspect) [ -e "$FAKE/gone" ] && fail "Error: No such container: x" 1
           cat "$FAKE/state" 2>/dev/null || echo "false 0 6" ;;
  wait) echo 6 ;;
  rm) touch "$FAKE/gone" ;;
esac
"""


class Container(PocketTest):
    def setUp(self):
        super().setUp()
        self.bin = f"{self.folder}/bin"
        os.mkdir(self.bin)
        for engine in ("docker", "podman"):
            with open(f"{self.bin}/{engine}", "w", encoding="utf-8") as file:
                file.write(ENGINE)
            os.chmod(f"{self.bin}/{engine}", 0o755)
        self.environment.update(PATH=f"{self.bin}:{os.environ['PATH']}", FAKE=self.folder)

    def calls(self, engine="docker", of="run"):
        try:
            with open(f"{self.folder}/{engine}.calls", encoding="utf-8") as text:
                calls = [call.split("\n") for call in text.read().split("\n\n") if call]
        except FileNotFoundError:
            return []
        return [call[1:] for call in calls if call[0] == of]

    def test_default_arguments(self):
        answer = self.pocket("run", "-t", self.name(), "-b", "image", "--", "echo", "$HOME", "a b")
        self.assertEqual((answer.returncode, answer.stdout), (0, "$HOME a b\n"), answer.stderr)
        self.assertEqual(self.calls(), [["--rm", "--name", self.name(), "--network", "none", "image",
                                         "echo", "$HOME", "a b"]])

    def test_all_arguments(self):
        service = f"{self.folder}/service.sock"
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(service)
        answer = self.pocket(
            "run", "-t", self.name(), "-b", "image", "-m", "1.5g", "-c", "0.5", "-i", "0-1",
            "--oom-kill-disable", "-w", "/work", "-n", "bridge", "-e", "A=x;y", "-v", "/data:/data:ro",
            "-v", "/more:/more", "--cpu-policy", "func,none", "-s", service, "--", "true")
        self.assertEqual(answer.returncode, 0, answer.stderr)
        self.assertEqual(self.calls(), [[
            "--rm", "--name", self.name(), "--network", "bridge", "--memory", str(3 << 29), "--cpus",
            "0.5", "--cpuset-cpus", "0-1", "--oom-kill-disable", "--workdir", "/work", "--volume",
            "/data:/data:ro", "--volume", "/more:/more", "--env", "A=x;y", "--env",
            "POCKET_CPU_POLICY=func,none", "--mount",
            f"type=bind,source={self.folder},target=/run/pocket,readonly", "--env",
            "POCKET_SOCKET=/run/pocket/service.sock", "image", "true"]])

    def test_status_and_signals_are_passed_on(self):
        self.assertEqual(self.pocket("run", "-b", "image", "--", "sh", "-c", "exit 9").returncode, 9)
        process = self.start("run", "-b", "image", "--", "sh", "-c",
                             "trap 'exit 4' TERM; echo ready; while :; do sleep 0.02; done")
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 4)
        self.assertEqual(self.listed("-a"), {})

    def test_errors_of_the_engine_are_shown(self):
        answer = self.pocket("run", "-b", "missing-image", "--", "true")
        self.assert_refused(answer, 125, "Unable to find image 'missing-image:latest'")
        answer = self.pocket("run", "-d", "-b", "missing-image", "--", "true")
        self.assert_refused(answer, 1, "Unable to find image 'missing-image:latest'", "125")
        self.assertEqual(self.listed("-a"), {})

    def test_whichever_engine_answers(self):
        touch(f"{self.folder}/docker.down")
        self.assertEqual(self.pocket("run", "-b", "image", "--", "true").returncode, 0)
        self.assertEqual((len(self.calls("docker")), len(self.calls("podman"))), (0, 1))
        self.assert_refused(self.pocket("run", "--engine", "docker", "-b", "image", "--", "true"), 1,
                            "Cannot connect to the docker daemon")
        touch(f"{self.folder}/podman.down")
        self.assert_refused(self.pocket("run", "-b", "image", "--", "true"), 1,
                            "Cannot connect to the docker daemon", "Cannot connect to the podman daemon")

    def test_no_engine_is_installed(self):
        for engine in ("docker", "podman"):
            os.unlink(f"{self.bin}/{engine}")
        self.environment["PATH"] = self.bin
        self.assert_refused(self.pocket("run", "-b", "image", "--", "true"), 1, "docker", "podman",
                            "No such file")

    def test_detached(self):
        answer = self.pocket("run", "-d", "-t", self.name(), "-b", "image", "-m", "64m", "--", "true")
        self.assertEqual((answer.returncode, answer.stdout), (0, self.name() + "\n"), answer.stderr)
        self.assertEqual(self.calls()[0][:3], ["--detach", "--name", self.name()])
        identity = "0123456789abcdef0123456789abcdef"
        with open(f"{self.folder}/state", "w", encoding="utf-8") as state:
            state.write(f"true {os.getpid()} 0\n")
        row = self.listed()[self.name()]
        self.assertEqual((row["state"], row["container"], row["engine"], row["pid"]),
                         ("running", identity, "docker", os.getpid()))
        self.assert_refused(self.pocket("run", "-t", self.name(), "--", "true"), 1, self.name())
        self.assertEqual(self.pocket("wait", self.name()).returncode, 6)
        self.assertEqual(self.calls(of="wait"), [[identity]])
        self.assertEqual(self.calls(of="rm"), [["--force", identity]])
        self.assertEqual(self.listed("-a"), {})

    def test_an_ended_container_is_listed_and_pruned(self):
        self.pocket("run", "-d", "-t", self.name(), "-b", "image", "--", "true")
        row = self.listed("-a")[self.name()]
        self.assertEqual((row["state"], row["exit_status"]), ("exited", 6))
        self.assert_refused(self.pocket("rusage", self.name()), 1, "while it runs")
        self.assertIn(self.name(), self.pocket("ps", "--prune").stdout)
        self.assertEqual(len(self.calls(of="rm")), 1)
        self.assertEqual(self.listed("-a"), {})

    def test_an_engine_that_does_not_answer_loses_nothing(self):
        self.pocket("run", "-d", "-t", self.name(), "-b", "image", "--", "true")
        down = f"{self.folder}/docker.down"
        touch(down)
        self.assertEqual(self.listed()[self.name()]["state"], "unknown")
        self.pocket("ps", "--prune")
        os.unlink(down)
        self.assertEqual(self.listed("-a")[self.name()]["state"], "exited")

    @unittest.skipUnless(can_limit(), "groups cannot be read here")
    def test_usage_is_read_from_the_containers_group(self):
        """Here the "container" is another run of ours, so that it has a group of its own."""
        touch(f"{self.folder}/tell")
        report = f"{self.folder}/report.json"
        answer = self.pocket("run", "-t", self.name("outer"), "--", POCKET, "run", "--rusage", report,
                             "-b", "image", "--", "sh", "-c",
                             "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.4; exit 3")
        self.assertEqual(answer.returncode, 3, answer.stderr)
        used = json.loads(read(report))
        self.assertEqual((used["exit_status"], used["source"]), (3, "group"))
        self.assertGreater(used["cpu_total_ns"], 1_000_000)
        self.assertGreater(used["memory_peak_bytes"], 100_000)

    def test_the_container_ends_with_its_killed_supervisor(self):
        process = self.start("run", "-t", self.name(), "-b", "image", "--", "sh", "-c",
                             "echo ready; exec sleep 1000")
        process.stdout.readline()
        process.kill()
        process.communicate(timeout=30)
        self.assertEqual(self.listed()[self.name()]["state"], "lost")
        self.assertEqual(self.calls(of="rm"), [["--force", self.name()]])

    def test_what_cannot_be_done_is_refused(self):
        for options, words in {("--perf",): ("--perf", "engine"),
                               ("-d", "--rusage"): ("--rusage", "pocket rusage"),
                               ("-d", "--log", "x"): ("docker logs",),
                               ("-s", "/nowhere/x.sock"): ("/nowhere/x.sock", "pocket service run"),
                               ("-s", "x", "--socket", "y"): ("--socket",)}.items():
            self.assert_refused(self.pocket("run", "-b", "image", *options, "--", "true"), 1, *words)
        self.assertEqual(self.calls(), [])


if __name__ == "__main__":
    main()
