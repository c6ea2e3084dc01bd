#!/usr/bin/env python3
"""Runs scenarios on one kind of host: the same scripts everywhere.

    run.py bare|docker|machine --build BUILD [--kernel VMLINUZ] [--seconds N] [SCENARIO.sh ...]

Without names: every scenario whose `# Hosts:` line lists this one. Ends with 0, with 1 when one
fails, or with 77 when all are skipped. One engine, or one boot, serves all of them.
"""
import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from docker_engine import DockerEngine  # noqa: E402
from machine import Job, Machine, MachineError  # noqa: E402
from process import SKIPPED, Skip, end_on_signals, start, stop  # noqa: E402

PREFIX = "pocket-scenario-"
GRACE_SECONDS = 15
MACHINE_SECONDS = 540  # for all scenarios of one boot; emulated, they take several times as long
TIMED_OUT = 124  # as `timeout` says it


def scenarios_for(host):
    """Files of the scenarios that say they run on `host`."""
    found = []
    for name in sorted(os.listdir(HERE)):
        if not name.endswith(".sh"):
            continue
        path = os.path.join(HERE, name)
        with open(path, encoding="utf-8") as file:
            hosts = re.search(r"^# Hosts: (.*)$", file.read(), re.MULTILINE)
        if hosts and host in hosts[1].split():
            found.append(path)
    return found


def report(host, name, status, seconds):
    word = {0: "passed", SKIPPED: "skipped", TIMED_OUT: "FAILED: not done in time"}.get(status, f"FAILED with status {status}")
    time_text = "" if seconds is None else f" in {seconds:.1f} s"
    print(f"{name} on {host}: {word}{time_text}", flush=True)


@contextlib.contextmanager
def scenario_folder():
    """A folder that is removed at the end. What was just killed may still be writing its last file
    there, so removing is tried again for a moment."""
    folder = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")
    try:
        yield folder
    finally:
        deadline = time.monotonic() + 5
        while os.path.isdir(folder):
            shutil.rmtree(folder, ignore_errors=time.monotonic() < deadline)


def run_here(host, path, build, more_environment, seconds):
    """One scenario as a process of this machine; its status. `timeout` passes our end on to the
    whole process group, so that the scenario cleans up whatever it waits for, even when we are
    killed."""
    with scenario_folder() as folder:
        environment = os.environ | more_environment | {
            "SCENARIO_HOST": host, "SCENARIO_BIN": f"{build}/bin", "SCENARIO_DIR": folder}
        scenario = start(["timeout", f"--kill-after={GRACE_SECONDS}", str(seconds), "sh", path],
                         env=environment, stdin=subprocess.DEVNULL)
        try:
            return scenario.wait()
        finally:
            stop(scenario, 2 * GRACE_SECONDS)


def run_all_here(host, paths, build, environment, seconds):
    statuses = []
    for path in paths:
        name = os.path.basename(path)
        print(f"{name} on {host}:", flush=True)
        began = time.monotonic()
        statuses.append(run_here(host, path, build, environment, seconds))
        report(host, name, statuses[-1], time.monotonic() - began)
    return statuses


def run_docker(paths, build, seconds):
    began = time.monotonic()
    with DockerEngine({"/bin/scenario-client": f"{build}/bin/scenario-client"}) as engine:
        print(f"the engine is ready after {time.monotonic() - began:.1f} s", flush=True)
        return run_all_here("docker", paths, build, engine.environment(), seconds)


def run_machine(paths, build, kernel, seconds):
    machine = Machine(kernel)
    for name in ("pocket", "pocketd", "pocket-runner", "scenario-client", "daemon_lease_groups_test"):
        machine.add_program(f"{build}/bin/{name}", f"/pocket/bin/{name}")
    null_engine = "lib/pocket/libpocket-engine-null.so"
    machine.add_program(f"{build}/{null_engine}", f"/pocket/{null_engine}")
    machine.add(os.path.join(HERE, "lib"), "/scenarios/lib")
    jobs = []
    for path in paths:
        name = os.path.basename(path)
        machine.add(path, f"/scenarios/{name}")
        work = f"/tmp/{PREFIX}{name.removesuffix('.sh')}"
        jobs.append(Job(name, f"mkdir {work}; export SCENARIO_HOST=machine "
                              f"SCENARIO_BIN=/pocket/bin SCENARIO_DIR={work}\n"
                              f"timeout {seconds} sh /scenarios/{name}"))
    machine.run(jobs, MACHINE_SECONDS)
    for job in jobs:
        print(f"{job.name} on machine:\n{job.output}")
        report("machine", job.name, job.status, None)
    return [job.status for job in jobs]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("host", choices=["bare", "docker", "machine"])
    parser.add_argument("--build", required=True, help="build folder with bin/ and lib/")
    parser.add_argument("--kernel", default="", help="kernel image for the emulated machine")
    parser.add_argument("--seconds", type=int, default=60, help="how long one scenario may take")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO.sh")
    options = parser.parse_intermixed_args()
    end_on_signals()
    build = os.path.abspath(options.build)
    paths = [os.path.abspath(path) for path in options.scenarios] or scenarios_for(options.host)
    try:
        if options.host == "docker":
            statuses = run_docker(paths, build, options.seconds)
        elif options.host == "machine":
            statuses = run_machine(paths, build, options.kernel, options.seconds)
        else:
            statuses = run_all_here("bare", paths, build, {}, options.seconds)
    except Skip as reason:
        print(f"skipped: {reason}")
        return SKIPPED
    except MachineError as error:
        print(f"FAILED: {error}")
        return 1
    if all(status == SKIPPED for status in statuses):
        return SKIPPED
    return 0 if all(status in (0, SKIPPED) for status in statuses) else 1


if __name__ == "__main__":
    sys.exit(main())
