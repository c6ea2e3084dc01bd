#!/usr/bin/env python3
"""A small emulated machine that runs the distribution's own kernel, with cgroup v2 and nothing else.

    machine.py --kernel VMLINUZ [--program FILE ...] [--seconds N] -- SHELL-COMMAND

boots, runs the command (the programs, with their libraries, are in its PATH), prints what it
printed, and ends with its status. Busybox is the userland; the file system is in memory.
"""
import argparse
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from process import SKIPPED, Skip, end_on_signals, start, stop  # noqa: E402

SECONDS = 120
BUSYBOX = "/bin/busybox"
INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /root
/bin/busybox --install -s /bin
export PATH=/pocket/bin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
mkdir /dev/shm && mount -t tmpfs shm /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo "+cpu +memory" > /sys/fs/cgroup/cgroup.subtree_control
ip link set lo up
exec </dev/null
. /jobs
poweroff -f
"""


class MachineError(Exception):
    """The machine did not do what it was started for; the text holds its console."""


@dataclass
class Job:
    """A shell command, and once it has run its status and what it printed."""
    name: str
    command: str
    status: int | None = None
    output: str = ""


class Machine:
    """Collects files, then runs jobs one after the other in one boot. Raises Skip where this host
    has no emulator or no kernel."""

    def __init__(self, kernel):
        self.kernel = kernel
        self.files = {}  # path inside -> path here
        self._needed = {"qemu-system-x86_64": None, BUSYBOX: None, "cpio": None}
        for program in self._needed:
            self._needed[program] = shutil.which(program)
            if self._needed[program] is None:
                raise Skip(f"{program} is not installed; `make setup` installs it")
        if not os.access(kernel, os.R_OK):
            raise Skip(f"there is no kernel in '{kernel}'; `make setup` fetches it")

    def add(self, source, path):
        """A file or folder."""
        self.files[path] = source

    def add_program(self, source, path):
        """A program or shared library, with the libraries it needs."""
        self.add(source, path)
        listed = subprocess.run(["ldd", source], capture_output=True, text=True, check=False)
        for library in re.findall(r"(?:=> |^\s+)(/\S+)", listed.stdout, re.MULTILINE):
            self.add(library, library)

    def run(self, jobs, seconds=SECONDS):
        """Boots, runs `jobs` and fills them in; raises MachineError when one of them has no status
        after `seconds`. Returns the console's text."""
        mark = secrets.token_hex(8)
        with tempfile.TemporaryDirectory(prefix="pocket-machine-") as folder:
            self._build(folder, jobs, mark)
            console, in_time = self._boot(folder, seconds)
        for job in jobs:
            frame = re.search(rf"{mark} begin {re.escape(job.name)}\n(.*?)\n?{mark} end (\d+)\n",
                              console, re.DOTALL)
            if frame is None:
                why = "ended early" if in_time else f"was killed after {seconds} s"
                raise MachineError(f"the machine {why}, without the end of '{job.name}'. Its "
                                   f"console:\n{console}")
            job.output, job.status = frame[1], int(frame[2])
        return console

    def _build(self, folder, jobs, mark):
        root = f"{folder}/root"
        for path, source in {**self.files, BUSYBOX: self._needed[BUSYBOX]}.items():
            target = root + path
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if os.path.isdir(source):
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, target)
                self._strip(target)
        with open(f"{root}/init", "w", encoding="utf-8") as file:
            file.write(INIT)
        os.chmod(f"{root}/init", 0o755)
        with open(f"{root}/jobs", "w", encoding="utf-8") as file:
            for index, job in enumerate(jobs):
                with open(f"{root}/job{index}", "w", encoding="utf-8") as script:
                    script.write(job.command + "\n")
                file.write(f"echo; echo '{mark} begin {job.name}'\n"
                           f"sh /job{index} 2>&1; status=$?\n"
                           f"echo; echo \"{mark} end $status\"\n")
        with open(f"{folder}/initrd", "wb") as image:
            names = subprocess.run(["find", ".", "-print0"], cwd=root, stdout=subprocess.PIPE,
                                   check=True).stdout
            subprocess.run(["cpio", "--null", "--create", "--format=newc", "--quiet"], cwd=root,
                           input=names, stdout=image, check=True)
        shutil.rmtree(root)

    @staticmethod
    def _strip(target):
        """Debug information would only fill the machine's memory."""
        with open(target, "rb") as file:
            is_program = file.read(4) == b"\x7fELF"
        if is_program and shutil.which("strip"):
            subprocess.run(["strip", "--strip-debug", target], check=False)

    def _boot(self, folder, seconds):
        command = [self._needed["qemu-system-x86_64"], "-accel", "tcg", "-cpu", "max", "-m", "512",
                   "-smp", "2", "-nodefaults", "-no-user-config", "-display", "none", "-serial",
                   "stdio", "-no-reboot", "-kernel", self.kernel, "-initrd", f"{folder}/initrd",
                   "-append", "console=ttyS0 panic=-1 quiet"]
        with open(f"{folder}/console", "w+b") as console:
            emulator = start(command, stdin=subprocess.DEVNULL, stdout=console,
                             stderr=subprocess.STDOUT)
            in_time = True
            try:
                emulator.wait(seconds)
            except subprocess.TimeoutExpired:
                in_time = False
            finally:
                stop(emulator, 5)
            console.seek(0)
            text = console.read().decode("utf-8", "replace").replace("\r", "")
        return text, in_time


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--program", action="append", default=[])
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    end_on_signals()
    try:
        machine = Machine(options.kernel)
        for program in options.program:
            machine.add_program(program, f"/pocket/bin/{os.path.basename(program)}")
        job = Job("command", " ".join(options.command))
        machine.run([job], options.seconds)
    except Skip as reason:
        print(f"skipped: {reason}")
        return SKIPPED
    except MachineError as error:
        print(f"machine: {error}", file=sys.stderr)
        return 1
    print(job.output)
    return job.status


if __name__ == "__main__":
    sys.exit(main())
