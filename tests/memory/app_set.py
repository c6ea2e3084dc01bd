#!/usr/bin/env python3
"""What the whole set of apps costs in memory, through Pocket and monolithically, and that it comes back.

    app_set.py --build BUILD --deps DEPS [--engine NAME] [--apps A,B,...]

For each engine: one client of each app, then two, against as many monolithic processes, all of them
alive at once and holding an answer; what a further client of each app adds; what unloading each model
gives back, one after another and with all of them loaded. Proportional set sizes, so that what
processes share is counted once. Ends with 0, 1 or, without one of the apps or models, 77.
"""
import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from process import SKIPPED, Skip, end_on_signals, start, stop  # noqa: E402

APPS = ["mobilenetv2", "resnet50", "smallbert", "ssdmobilenetv2_320x320", "ssdresnet50v1_640x640",
        "talkingheads"]
ENGINES = ["openvino", "onnxruntime"]
# Of the monolithic processes' memory: what is wanted, and what was reached on the day this was written,
# with some room: more is a regression.
ONE_EACH, TWO_EACH = (0.85, 1.0), (0.45, 0.52)
LEAST_APPS = 3
FURTHER_CLIENT = 3_000_000
FURTHER_CLIENTS = 4
GIVEN_BACK = 0.95
SECONDS = 120
ATTEMPTS = 10
# The service is at rest when it gave nothing back for so long.
STEADY_SECONDS, STEADY_BYTES = 2, 100_000


class Failure(Exception):
    """What is wrong, for the person who runs the test."""


def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))


class App:
    """A client, or a monolithic process, that holds an answer until it is ended."""

    def __init__(self, command):
        self.name = os.path.basename(command[0])
        self.process = start(command + ["--gate", "--json", "-"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait_ready(self):
        if self.process.stdout.readline().strip() != "ready":
            raise Failure(f"{self.name}: {self.process.stderr.read().strip()}")

    def end(self):
        """Lets it go on to its end; its report."""
        out, error = self.process.communicate("\n", timeout=SECONDS)
        if self.process.returncode != 0:
            raise Failure(f"{self.name}: {error.strip()}")
        return json.loads(out)


class Service:
    def __init__(self, build, models, engine, folder):
        self.build, self.socket = build, os.path.join(folder, "pocket.sock")
        self.log = os.path.join(folder, "log")
        config = os.path.join(folder, "pocket.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"[engines]\ndefault = '{engine}'\n")
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = start([f"{build}/bin/pocketd", "--config", config, "--socket", self.socket,
                                  "--models", models], stdout=log, stderr=log)
        deadline = time.monotonic() + SECONDS
        while self.pocket("service", "status", "--json").returncode != 0:
            if time.monotonic() > deadline or self.process.poll() is not None:
                with open(self.log, encoding="utf-8") as log:
                    raise Failure(f"the service did not start: {log.read()}")
            time.sleep(0.05)

    def pocket(self, *arguments):
        return subprocess.run([f"{self.build}/bin/pocket", *arguments, "--socket", self.socket],
                              capture_output=True, text=True, check=False)

    def runners(self):
        status = json.loads(self.pocket("service", "status", "--json").stdout)
        return [runner["pid"] for runner in status["runners"]]

    def memory(self):
        return sum(pss(pid) for pid in [self.process.pid] + self.runners())

    def unload(self, name):
        """Unloads a model that its clients have just left, and waits until its runner is gone."""
        before = len(self.runners())
        deadline = time.monotonic() + SECONDS
        while True:
            done = self.pocket("models", "unload", name)
            if done.returncode == 0:
                break
            # Until the service has seen the last client go, the model is still open.
            if time.monotonic() > deadline or (done.returncode != 0
                                               and "is open in" not in done.stderr):
                raise Failure(f"unloading {name}: {done.stderr.strip()}")
            time.sleep(0.05)
        while len(self.runners()) >= before:
            if time.monotonic() > deadline:
                raise Failure(f"unloading {name}: its runner does not end")
            time.sleep(0.05)


class Set:
    """The apps on one engine."""

    def __init__(self, options, engine, models, service):
        self.options, self.engine, self.models, self.service = options, engine, models, service
        self.clients = []  # [(app, App)]
        self.model_of = {}

    def command(self, app, monolithic):
        program = os.path.join(self.options.build, "bin", app)
        if monolithic:
            return [f"{program}-monolithic", "--engine", self.engine, "--models", self.models]
        return [program, "--socket", self.service.socket]

    def add_client(self, app):
        # On a busy machine loading a large model takes longer than a client waits: it asks again.
        for attempt in range(ATTEMPTS):
            client = App(self.command(app, False))
            self.clients.append((app, client))
            try:
                client.wait_ready()
                return
            except Failure as failure:
                self.clients.remove((app, client))
                stop(client.process, SECONDS)
                if "try again later" not in str(failure) or attempt + 1 == ATTEMPTS:
                    raise

    def each_more(self, app):
        """What a client more costs, of several: what an engine keeps varies by megabytes."""
        before = self.total_at_rest()
        for _ in range(FURTHER_CLIENTS):
            self.add_client(app)
        return (self.total_at_rest() - before) / FURTHER_CLIENTS

    def end_clients(self, apps):
        for app, client in [each for each in self.clients if each[0] in apps]:
            self.model_of[app] = client.end()["model"]
            self.clients.remove((app, client))

    def total(self):
        """Of the service and all clients."""
        return self.service.memory() + sum(pss(client.process.pid) for _, client in self.clients)

    def total_at_rest(self):
        """The same, once the service has taken back what only the last calls needed."""
        deadline = time.monotonic() + SECONDS
        least, since = self.total(), time.monotonic()
        while time.monotonic() < since + STEADY_SECONDS:
            if time.monotonic() > deadline:
                raise Failure(f"the service's memory on {self.engine} does not come to rest")
            time.sleep(0.1)
            now = self.total()
            if now < least - STEADY_BYTES:
                least, since = now, time.monotonic()
        return self.total()

    def kill_all(self):
        for _, client in self.clients:
            stop(client.process, SECONDS)

    def monolithic(self, each):
        """Of `each` monolithic processes of every app, all alive."""
        processes = []
        try:
            for app in self.options.apps:
                for _ in range(each):
                    processes.append(App(self.command(app, True)))
                    processes[-1].wait_ready()
            return sum(pss(process.process.pid) for process in processes)
        finally:
            for process in processes:
                stop(process.process, SECONDS)

    def check_back(self, what, before, loaded, after):
        back = (loaded - after) / (loaded - before)
        print(f"  {what}: {(loaded - before) / 1e6:.0f} MB, {100 * back:.1f} % of it back")
        if back < GIVEN_BACK:
            raise Failure(f"{what} on {self.engine}: only {100 * back:.1f} % came back")

    def check(self):
        apps = self.options.apps
        # What the service itself needs from its first model on is not that model's.
        self.add_client(apps[0])
        self.end_clients(apps[:1])
        self.service.unload(self.model_of[apps[0]])
        print(f"{self.engine}, one model after another:")
        for app in apps:
            before = self.service.memory()
            self.add_client(app)
            loaded = self.service.memory()
            self.end_clients([app])
            self.service.unload(self.model_of[app])
            self.check_back(app, before, loaded, self.service.memory())
        empty = self.service.memory()
        for app in apps:
            self.add_client(app)
        one, one_at_rest = self.total(), self.total_at_rest()
        for app in apps:
            self.add_client(app)
        two, two_at_rest = self.total(), self.total_at_rest()
        for app in apps:
            # The memory for calls at the same time comes with the first one, once: not a client's.
            more = self.each_more(app)
            print(f"  a further client of {app}: {more / 1e6:.1f} MB")
            if more > FURTHER_CLIENT:
                raise Failure(f"a further client of {app} on {self.engine} costs {more:.0f} bytes")
        self.compare(1, one, one_at_rest, ONE_EACH)
        self.compare(2, two, two_at_rest, TWO_EACH)
        self.end_clients(apps)
        print(f"{self.engine}, all models together, unloaded one after another:")
        loaded = self.service.memory()
        for app in apps:
            self.service.unload(self.model_of[app])
        self.check_back("all", empty, loaded, self.service.memory())

    def compare(self, each, pocket, at_rest, limits):
        goal, most = limits
        monolithic = self.monolithic(each)
        ratio = pocket / monolithic
        print(f"{self.engine}, {each} of each app: Pocket {pocket / 1e6:.0f} MB, monolithic "
              f"{monolithic / 1e6:.0f} MB, ratio {ratio:.3f} (wanted: {goal}); a few seconds later "
              f"{at_rest / 1e6:.0f} MB, {at_rest / monolithic:.3f}")
        if ratio > most:
            raise Failure(f"{self.engine}, {each} of each app: {ratio:.2f} of the monolithic memory")


def gather_models(deps, target):
    """One repository with the models of both folders, without copying them where links can do it."""
    def link(source, place):
        try:
            os.link(source, place)
        except OSError:
            shutil.copyfile(source, place)

    for folder in ("models", "app-models"):
        root = os.path.join(deps, folder)
        for name in os.listdir(root) if os.path.isdir(root) else []:
            if os.path.exists(os.path.join(target, name)):
                continue  # the same model: some are in both folders
            shutil.copytree(os.path.join(root, name), os.path.join(target, name), copy_function=link)


def weights(models, names):
    return sum(os.path.getsize(os.path.join(folder, file)) for name in names
               for folder, _, files in os.walk(os.path.join(models, name)) for file in files)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", required=True, type=os.path.abspath)
    parser.add_argument("--deps", required=True, type=os.path.abspath)
    parser.add_argument("--engine", action="append")
    parser.add_argument("--apps", type=lambda text: text.split(","), default=APPS)
    options = parser.parse_args()
    end_on_signals()
    try:
        built = [app for app in options.apps
                 if os.path.exists(os.path.join(options.build, "bin", f"{app}-monolithic"))]
        for app in set(options.apps) - set(built):
            print(f"without {app}, which is not built")
        options.apps = built
        if len(built) < LEAST_APPS or not os.path.isdir(os.path.join(options.deps, "app-models")):
            raise Skip("no models of the apps (tools/make-app-models)")
        with contextlib.ExitStack() as stack:
            # Beside the models, so that links can be made.
            models = stack.enter_context(tempfile.TemporaryDirectory(dir=options.build))
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pocket-set-"))
            gather_models(options.deps, models)
            for engine in options.engine or ENGINES:
                with contextlib.ExitStack() as ends:
                    service = Service(options.build, models, engine, folder)
                    ends.callback(stop, service.process, SECONDS)
                    each = Set(options, engine, models, service)
                    ends.callback(each.kill_all)
                    each.check()
            print(f"the models' files, the least that any side needs: "
                  f"{weights(models, set(each.model_of.values())) / 1e6:.0f} MB")
    except Skip as reason:
        print(f"skipped: {reason}")
        return SKIPPED
    except Failure as failure:
        print(failure)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
