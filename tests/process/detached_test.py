"""Runs in the background: ps, wait, rusage, and what is left when somebody is killed."""
import json
import os
import signal
import subprocess
import time

from support import PocketTest, can_limit, is_running, main, read, touch, wait_until


class Detached(PocketTest):
    def run_detached(self, *arguments, word="a"):
        answer = self.pocket("run", "-d", "-t", self.name(word), *arguments)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        self.assertEqual(answer.stdout, self.name(word) + "\n")
        return self.record(self.name(word))

    def test_ps_wait_and_rusage(self):
        self.run_detached("--socket", "/x/y.sock", "--", "sh", "-c",
                          f"until [ -e {self.folder}/go ]; do sleep 0.02; done; exit 5")
        row = self.listed()[self.name()]
        self.assertEqual((row["state"], row["socket"]), ("running", "/x/y.sock"))
        self.assertTrue(is_running(row["pid"]))
        table = self.pocket("ps").stdout
        self.assertIn(self.name(), table)
        self.assertIn("running", table)
        used = json.loads(self.pocket("rusage", self.name(), "--json").stdout)
        self.assertEqual(used["state"], "running")
        self.assertGreater(used["memory_bytes"], 0)
        touch(f"{self.folder}/go")
        kept = self.pocket("wait", self.name(), "--keep")
        self.assertEqual(kept.returncode, 5, kept.stderr)
        self.assertEqual(self.groups(), [])
        self.assertEqual(self.listed(), {})
        self.assertEqual(self.listed("-a")[self.name()]["exit_status"], 5)
        used = json.loads(self.pocket("rusage", self.name(), "--json").stdout)
        self.assertEqual(used["state"], "exited")
        self.assertGreater(used["cpu_total_ns"], 0)
        self.assertGreater(used["page_faults_minor"], 0)
        for absent in ("lent", "borrowed"):
            self.assertNotIn(absent, used)
        self.assertIn("memory, peak", self.pocket("rusage", self.name()).stdout)
        self.assertEqual(self.pocket("wait", self.name()).returncode, 5)
        self.assertEqual(self.listed("-a"), {})

    def test_several_waiters_get_the_status(self):
        self.run_detached("--", "sh", "-c",
                          f"until [ -e {self.folder}/go ]; do sleep 0.02; done; exit 7")
        waiters = [self.start("wait", self.name()) for _ in range(3)]
        file = f"{self.folder}/pocket-run/{self.name()}.json"
        inode = os.stat(file).st_ino
        wait_until(lambda: read("/proc/locks").count(f":{inode} ") == 3, "three waiters")
        touch(f"{self.folder}/go")
        for waiter in waiters:
            _, error = waiter.communicate(timeout=30)
            self.assertEqual(waiter.returncode, 7, error)
        self.assertEqual(self.listed("-a"), {})

    def test_wait_for_a_run_in_the_foreground(self):
        process = self.start("run", "-t", self.name(), "--", "sh", "-c", "echo ready; cat; exit 8",
                             stdin=subprocess.PIPE)
        process.stdout.readline()
        inode = os.stat(f"{self.folder}/pocket-run/{self.name()}.json").st_ino
        waiter = self.start("wait", self.name(), "--json")
        wait_until(lambda: f":{inode} " in read("/proc/locks"), "a waiter")
        process.communicate(timeout=30)
        output, error = waiter.communicate(timeout=30)
        self.assertEqual(waiter.returncode, 8, error)
        self.assertEqual(json.loads(output), [{"name": self.name(), "exit_status": 8}])
        self.assertEqual(self.listed("-a"), {})

    def test_it_holds_no_pipe_of_the_caller(self):
        """The caller's pipe ends although the program goes on (else this would take 1000 s)."""
        self.run_detached("--", "sleep", "1000")

    def test_output_goes_to_a_file(self):
        log = f"{self.folder}/log"
        self.run_detached("--log", log, "--rusage", "--", "sh", "-c", "cat; echo out; echo err >&2")
        self.assertEqual(self.pocket("wait", self.name()).returncode, 0)
        self.assertEqual(read(log).splitlines()[:2], ["out", "err"])
        wait_until(lambda: "cpu, user" in read(log), "the report")

    def test_failure_to_start_is_told(self):
        answer = self.pocket("run", "-d", "--", "no-such-program")
        self.assert_refused(answer, 1, "no-such-program", "No such file")
        self.assertEqual(self.listed("-a"), {})

    def test_several(self):
        answer = self.pocket("run", "-d", "-t", self.name(), "--count", "3", "--", "sleep", "1000")
        names = [self.name(f"a-{number}") for number in (1, 2, 3)]
        self.assertEqual(answer.stdout.split(), names)
        for name, status in zip(names, (9, 15, 2)):
            os.kill(self.listed()[name]["pid"], status)
            self.assertEqual(self.pocket("wait", name).returncode, 128 + status)
        self.assertEqual(self.groups(), [])

    def test_kill_9_of_the_program(self):
        self.run_detached("--", "sleep", "1000")
        os.kill(self.listed()[self.name()]["pid"], signal.SIGKILL)
        self.assertEqual(self.pocket("wait", self.name()).returncode, 137)
        self.assertEqual(self.groups(), [])

    def test_kill_9_of_the_supervisor(self):
        record = self.run_detached("--", "sh", "-c", "setsid sleep 1000 & echo $! > $0; wait",
                                   f"{self.folder}/pid")
        pid = wait_until(lambda: os.path.exists(f"{self.folder}/pid") and
                         read(f"{self.folder}/pid").strip(), "the child")
        if can_limit():
            self.assertNotEqual(self.groups(), [])
        os.kill(record["supervisor"]["pid"], signal.SIGKILL)
        wait_until(lambda: not is_running(record["supervisor"]["pid"]), "its end")
        wait_until(lambda: not is_running(record["process"]["pid"]), "its program's end")
        self.assertEqual(self.listed()[self.name()]["state"], "lost")
        self.assertEqual(self.groups(), [])
        if can_limit():
            self.assertFalse(is_running(int(pid)), "the program's child outlived the group")
        else:
            os.kill(int(pid), signal.SIGKILL)
        self.assertIn("lost", self.pocket("ps").stdout)
        self.assert_refused(self.pocket("wait", self.name(), "--keep"), 1, "lost")
        self.assertIn(self.name(), self.pocket("ps", "--prune").stdout)
        self.assertEqual(self.listed("-a"), {})

    def test_kill_9_of_a_supervisor_in_the_foreground(self):
        process = self.start("run", "-t", self.name(), "--", "sh", "-c", "echo ready; sleep 1000")
        process.stdout.readline()
        process.kill()
        process.wait(timeout=30)
        # The next run clears up by itself, and may have the name.
        answer = self.pocket("run", "-t", self.name(), "--", "true")
        self.assertEqual(answer.returncode, 0, answer.stderr)
        self.assertEqual(self.groups(), [])
        process.communicate(timeout=30)

    def test_a_reused_number_is_not_mistaken_for_the_program(self):
        stranger = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(stranger.wait)
        self.addCleanup(stranger.kill)
        record = self.run_detached("--", "sleep", "1000")
        os.kill(record["supervisor"]["pid"], signal.SIGKILL)
        wait_until(lambda: not is_running(record["supervisor"]["pid"]), "its end")
        for key in ("supervisor", "process"):
            record[key] = {"pid": stranger.pid, "start_ticks": 1}
        with open(f"{self.folder}/pocket-run/{self.name()}.json", "w", encoding="utf-8") as file:
            json.dump(record, file)
        self.assertEqual(self.listed()[self.name()]["state"], "lost")
        self.assertTrue(is_running(stranger.pid))

    def test_records_that_are_none_are_removed(self):
        self.pocket("ps")
        for name, text in {"broken": "{", "list": "[1]", "type": '{"name": 3}'}.items():
            with open(f"{self.folder}/pocket-run/{name}.json", "w", encoding="utf-8") as file:
                file.write(text)
        self.assertEqual(self.listed("-a"), {})
        touch(f"{self.folder}/pocket-run/.broken.999999999")  # its writer was killed
        self.assertEqual(self.listed("-a"), {})
        self.assertEqual(os.listdir(f"{self.folder}/pocket-run"), [])

    def test_an_idle_supervisor_uses_nothing(self):
        record = self.run_detached("--", "sleep", "1000")

        def switches():
            status = read(f"/proc/{record['supervisor']['pid']}/status")
            return [line for line in status.splitlines() if "ctxt_switches" in line]

        def same_later():
            before = switches()
            time.sleep(0.2)
            return switches() == before

        wait_until(same_later, "a supervisor that sleeps")


if __name__ == "__main__":
    main()
