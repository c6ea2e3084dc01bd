#!/usr/bin/env python3
"""A Docker engine of the test's own, beside any other: own folders, socket, groups and mounts.

    docker_engine.py [--file SOURCE:PATH-IN-IMAGE ...] -- COMMAND...

runs COMMAND with DOCKER_HOST, SCENARIO_DOCKER, SCENARIO_IMAGE and SCENARIO_CGROUP_PARENT set, and
takes everything down afterwards. No network: neither a bridge nor a packet filter rule is made.
"""
import argparse
import glob
import io
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from process import SKIPPED, Skip, end_on_signals, start, stop  # noqa: E402

IMAGE = "pocket-test"
PREFIX = "pocket-docker-"
READY_SECONDS = 60
STOP_SECONDS = 20
# dockerd runs in a mount namespace of its own: its mounts end with it, even after SIGKILL. There it
# sees empty folders where it would leave files, or meet those of the machine's own engine.
COVER = """for folder in /etc/docker /opt /run; do
  case $TMPDIR in $folder*) continue ;; esac
  [ ! -d $folder ] || mount -t tmpfs covered $folder || exit 1
done
exec "$@"
"""


def _find(program):
    # The client of the engine's own package first: one from elsewhere may be too new for it.
    path = shutil.which(program, path="/usr/bin:/usr/sbin:" + os.environ.get("PATH", ""))
    if path is None:
        raise Skip(f"{program} is not installed; `make setup` installs it")
    return path


def _mounted_trees():
    with open("/proc/mounts", encoding="utf-8") as file:
        rows = [line.split() for line in file]
    return [row[1] for row in rows if row[2] in ("cgroup", "cgroup2")]


class DockerEngine:
    """`with DockerEngine({"/bin/x": "build/bin/x"}) as engine`: dockerd runs inside the block, with
    one image that holds these files. Raises Skip with dockerd's own words where it cannot run."""

    def __init__(self, files):
        self.files = files
        self.process = None
        self.folder = None

    def __enter__(self):
        if os.geteuid() != 0:
            raise Skip("dockerd needs root")
        dockerd, self.client = _find("dockerd"), _find("docker")
        _sweep()
        # Its name is also that of a containerd namespace: letters and digits between single signs.
        self.folder = os.path.join(tempfile.gettempdir(),
                                   f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}")
        os.mkdir(self.folder, 0o700)
        try:
            self._start(dockerd)
            self._import_image()
        except BaseException:
            self._take_down()
            raise
        return self

    def __exit__(self, *_):
        self._take_down()

    @property
    def group(self):
        return os.path.basename(self.folder)

    def environment(self):
        """For scenarios and for plain `docker`."""
        return {"DOCKER_HOST": f"unix://{self.folder}/docker.sock", "SCENARIO_DOCKER": self.client,
                "SCENARIO_IMAGE": IMAGE, "SCENARIO_CGROUP_PARENT": self.group,
                "DOCKER_CONFIG": f"{self.folder}/client"}

    def docker(self, *arguments, **options):
        return subprocess.run([self.client, *arguments], env=os.environ | self.environment(),
                              capture_output=True, timeout=60, check=True, **options).stdout

    def _start(self, dockerd):
        with open(f"{self.folder}/daemon.json", "w", encoding="ascii") as file:
            file.write("{}")
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", COVER, "cover",
                   dockerd, "--iptables=false", "--bridge=none", "--config-file",
                   f"{self.folder}/daemon.json", "--data-root", f"{self.folder}/data",
                   "--exec-root", f"{self.folder}/exec", "-H", f"unix://{self.folder}/docker.sock",
                   "-p", f"{self.folder}/pid", "--containerd-namespace", self.group,
                   "--containerd-plugins-namespace", f"{self.group}-plugins",
                   "--exec-opt", "native.cgroupdriver=cgroupfs",
                   "--cgroup-parent", f"/{self.group}"]
        with open(f"{self.folder}/log", "wb") as log:
            self.process = start(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 env=os.environ | {"TMPDIR": self.folder})
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Skip(f"dockerd does not run here: {self._last_words()}")
            try:
                self.docker("version")
                return
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
                time.sleep(0.1)
        raise Skip(f"dockerd is not ready after {READY_SECONDS} s: {self._last_words()}")

    def _last_words(self):
        with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file if line.strip()]
        return lines[-1] if lines else "it logged nothing"

    def _import_image(self):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for path, source in self.files.items():
                tar.add(source, arcname=path.lstrip("/"))
        self.docker("import", "-", IMAGE, input=archive.getvalue())

    def _take_down(self):
        if self.process is not None:
            stop(self.process, STOP_SECONDS)  # ends its containers first
        _remove(self.folder)


def _sweep():
    """What runs left that were killed before they could take down their engine."""
    for folder in glob.glob(os.path.join(tempfile.gettempdir(), f"{PREFIX}*-*")):
        owner = os.path.basename(folder).removeprefix(PREFIX).split("-")[0]
        if owner.isdigit() and not os.path.exists(f"/proc/{owner}"):
            _remove(folder)


def _remove(folder):
    """All that an ended engine can leave; its folder's name is on everything."""
    name = os.path.basename(folder)
    _retry(lambda: _end_processes(_helpers(name)))
    for tree in _mounted_trees():
        for group, _, _ in os.walk(os.path.join(tree, name), topdown=False):
            _retry(lambda group=group: _end_group(group))
    shutil.rmtree(folder, ignore_errors=True)


def _retry(step):
    """Until `step` returns nothing that is left; killed processes need a moment."""
    end = time.monotonic() + STOP_SECONDS
    while left := step():
        if time.monotonic() > end:
            print(f"docker_engine: cannot remove {left}", file=sys.stderr)
            return
        time.sleep(0.05)


def _end_processes(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return pids


def _helpers(name):
    """containerd and its shims, where dockerd had no time to end them."""
    pids = []
    for file_name in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(file_name, "rb") as file:
                program, *arguments = file.read().split(b"\0")
        except OSError:
            continue
        if b"containerd" in program and name.encode() in b" ".join(arguments):
            pids.append(int(file_name.split("/")[2]))
    return pids


def _end_group(group):
    try:
        with open(f"{group}/cgroup.procs", encoding="ascii") as file:
            pids = [int(pid) for pid in file.read().split()]
        _end_processes(pids)
        os.rmdir(group)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{group}: {error}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--file", action="append", default=[], metavar="SOURCE:PATH")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    end_on_signals()
    files = {path: source for source, path in (text.split(":", 1) for text in options.file)}
    try:
        with DockerEngine(files) as engine:
            child = start(options.command, env=os.environ | engine.environment())
            try:
                return child.wait()
            finally:
                stop(child, STOP_SECONDS)
    except Skip as reason:
        print(f"skipped: {reason}")
        return SKIPPED


if __name__ == "__main__":
    sys.exit(main())
