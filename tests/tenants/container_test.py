#!/usr/bin/env python3
"""A client in a container that has nothing of the service but its socket: what it cannot do.

    container_test.py BUILD

A victim of another tenant makes calls all the while, each answer checked; tests/tenants/intruder.cc
tries things from a container of its own, as root there. Then a client that holds all it may is
killed, and all of it is free again.
"""
import json
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from docker_engine import DockerEngine  # noqa: E402
from process import SKIPPED, Skip, end_on_signals, start, stop  # noqa: E402

CONFIG = """[access]
strict = true
[[socket]]
path = "{folder}/camera/pocket.sock"
mode = 0o666
tenant = "camera"
[[socket]]
path = "{folder}/shop/pocket.sock"
mode = 0o666
tenant = "shop"
[tenant.camera]
models = ["echo", "slow"]
sessions = 8
channels = 6
shared_bytes = 33554432
in_flight = 4
[tenant.shop]
models = ["echo", "secret"]
"""
TENSORS = "[[inputs]]\nname = 'x'\nshape = [-1]\n[[outputs]]\nname = 'y'\nshape = [-1]\n"
PATIENCE_SECONDS = 60


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def wait_until(what, condition):
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {PATIENCE_SECONDS} s: {what}")
        time.sleep(0.002)


class Service:
    """pocketd in a folder of its own."""

    def __init__(self, build, folder):
        self.build, self.folder = build, folder
        self.socket = f"{folder}/own/pocket.sock"
        for name, first in (("echo", "mode = 'echo'\n"), ("slow", "mode = 'echo'\ndelay_us = 200000\n"),
                            ("secret", "mode = 'echo'\n")):
            write(f"{folder}/models/{name}/1/model.null", first + TENSORS)
        write(f"{folder}/pocketd.toml", CONFIG.format(folder=folder))

    def __enter__(self):
        self.log = open(f"{self.folder}/log", "wb")
        ready, told = os.pipe()
        self.process = start([f"{self.build}/bin/pocketd", "--config", f"{self.folder}/pocketd.toml",
                              "--models", f"{self.folder}/models", "--socket", self.socket,
                              "--ready-fd", str(told)], pass_fds=[told], stderr=self.log)
        os.close(told)
        with os.fdopen(ready, "rb") as pipe:
            if not pipe.read():
                with open(f"{self.folder}/log", encoding="utf-8") as log:
                    raise AssertionError(f"pocketd did not start: {log.read()}")
        return self

    def __exit__(self, *_):
        self.status_at_end = stop(self.process, 20)
        self.log.close()

    def status(self):
        answer = subprocess.run([f"{self.build}/bin/pocket", "service", "status", "--json", "--socket",
                                 self.socket], capture_output=True, check=True, timeout=30)
        return json.loads(answer.stdout)

    def tenant(self, name):
        return next(tenant for tenant in self.status()["tenants"] if tenant["name"] == name)


class Container:
    """A container of the image with a tenant's socket; its output is in `lines`."""

    def __init__(self, engine, service, tenant, name, *arguments):
        self.engine, self.name = engine, name
        self.path = f"{service.folder}/{name}.out"
        self.output = open(self.path, "wb")
        self.process = start([engine.client, "run", "--name", name, "--network", "none",
                              "--sig-proxy=false", "--volume",
                              f"{service.folder}/{tenant}:/run/pocket:ro", "pocket-test",
                              "/bin/intruder", *arguments],
                             stdout=self.output, stderr=self.output, stdin=subprocess.DEVNULL,
                             env=os.environ | engine.environment())

    def lines(self):
        with open(self.path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()

    def wait_for(self, line):
        wait_until(f"{self.name} says '{line}': {self.lines()}",
                   lambda: line in self.lines() or self.process.poll() is not None)
        assert line in self.lines(), f"{self.name} said {self.lines()}"

    def pid(self):
        return int(self.engine.docker("inspect", "--format", "{{.State.Pid}}", self.name))

    def signal(self, name):
        self.engine.docker("kill", "--signal", name, self.name)

    def end(self):
        status = self.process.wait(PATIENCE_SECONDS)
        self.output.close()
        return status


def runners_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return file.read().split()


def attack(engine, service):
    victim = Container(engine, service, "shop", "victim", "victim")
    victim.wait_for("victim ready")
    others = [str(service.process.pid), str(victim.pid()), *runners_of(service.process.pid)]
    intruder = Container(engine, service, "camera", "intruder", "attack", *others)
    status = intruder.end()
    print("\n".join(intruder.lines()))
    assert status == 0, "something that must not work worked"
    victim.signal("TERM")
    assert victim.end() == 0, victim.lines()
    assert "victim unharmed" in victim.lines(), victim.lines()
    # In the tenant's own list of refusals, which an administrator sees.
    assert service.tenant("camera")["total_refusals"] > 10, service.tenant("camera")
    assert service.tenant("shop")["total_refusals"] == 0, service.tenant("shop")


def death(engine, service):
    wait_until("the intruder's sessions are gone", lambda: service.tenant("camera")["sessions"] == 0)
    holder = Container(engine, service, "camera", "holder", "hold")
    holder.wait_for("holding")
    had = service.tenant("camera")
    assert had["channels"] == 6 and had["region_bytes"] > 0, had
    pid = holder.pid()
    os.kill(pid, 9)
    killed = time.monotonic()
    wait_until("all that the killed client had is free",
               lambda: not any(service.tenant("camera")[key]
                               for key in ("sessions", "channels", "region_bytes")))
    print(f"all of it was free within {(time.monotonic() - killed) * 1e3:.0f} ms of kill -9")
    assert holder.end() == 137, holder.lines()
    # And somebody else may have as much.
    again = Container(engine, service, "camera", "again", "hold")
    again.wait_for("holding")
    again.signal("KILL")
    again.end()


def main():
    build = os.path.abspath(sys.argv[1])
    end_on_signals()
    try:
        with DockerEngine({"/bin/intruder": f"{build}/bin/intruder"}) as engine, \
                tempfile.TemporaryDirectory(prefix="pocket-tenants-") as folder:
            os.chmod(folder, 0o755)
            with Service(build, folder) as service:
                attack(engine, service)
                death(engine, service)
            assert service.status_at_end == 0, "pocketd did not end well"
    except Skip as reason:
        print(f"skipped: {reason}")
        return SKIPPED
    except AssertionError as error:
        print(f"FAILED: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
