#!/usr/bin/env python3
"""Which room includes which: reads every #include of the sources and fails on an edge that the
table below does not list.

    include_graph.py [ROOT]        check a tree (default: this repository)
    include_graph.py --self-test   check that bad edges are found and good ones are not

A room is a folder of src/ (src/wire), a plugin (engines/null) or an app (apps/classify).
Every room may include itself, system and third-party headers (in angle brackets), and
pocket/status.h and pocket/dtype.h. tests/ and a room's own *_test.cc are free.
"""
import os
import re
import sys
import tempfile

COMMON = {"pocket/status.h", "pocket/dtype.h"}

# room: what it may include beside itself and COMMON. Rooms by name, public headers by path.
ROOMS = {
    "src/base": set(),
    "src/wire": {"src/base"},
    "src/lease": {"src/base"},
    "src/sandbox": {"src/base"},
    "src/cgroup": {"src/base"},
    "src/model": {"src/base"},
    "src/picture": {"src/base"},
    "src/tensor": {"src/base", "pocket/engine.h"},
    "src/operations": {"src/tensor", "src/picture", "src/base"},
    "src/ipc": {"src/wire", "src/base"},
    "src/engine": {"src/model", "src/base", "pocket/engine.h"},
    "src/runner": {"src/engine", "src/model", "src/ipc", "src/sandbox", "src/wire", "src/base",
                   "pocket/engine.h"},
    "src/daemon": {"src/lease", "src/cgroup", "src/model", "src/ipc", "src/sandbox", "src/wire",
                   "src/base"},
    "src/client": {"src/ipc", "src/wire", "src/base", "pocket/pocket.h"},
    "src/supervisor": {"src/base"},
    "src/cli": {"src/client", "src/lease", "src/cgroup", "src/model", "src/picture", "src/sandbox",
                "src/wire", "src/base",
                "pocket/pocket.h", "pocket/pocket.hpp"},
    "src/gateway": {"src/client", "src/base", "pocket/pocket.h"},
    "engines/*": {"pocket/engine.h"},
    "engines/null": {"src/base", "pocket/engine.h"},  # it may use its host's arithmetic and clock
    # They put other models together, with tensors of their own between them.
    "engines/handler": {"src/tensor", "src/base", "pocket/engine.h", "pocket/handler.h"},
    "engines/pipeline": {"src/operations", "src/tensor", "src/model", "src/base", "pocket/engine.h"},
    "handlers/*": {"src/operations", "src/tensor", "src/base", "pocket/handler.hpp"},
    "src/protoc": set(),
    # engine and base are for the monolithic twins, which run the same model in their own process.
    "apps/*": {"apps/common", "src/picture", "src/engine", "src/model", "src/base",
               "pocket/engine.h", "pocket/pocket.h", "pocket/pocket.hpp"},
    "apps/mobilenetv2": {"apps/classify"},
    "apps/resnet50": {"apps/classify"},
    "apps/smallbert": {"apps/text"},
    "apps/talkingheads": {"apps/text"},
    "apps/ssdmobilenetv2_320x320": {"apps/detect"},
    "apps/ssdresnet50v1_640x640": {"apps/detect"},
}

FOLDERS = ("src", "engines", "handlers", "apps")
SUFFIXES = (".h", ".hpp", ".cc", ".cpp", ".c")
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


def room_of(path):
    """src/wire/layout.h -> src/wire; None for a file outside the rooms."""
    parts = path.split("/")
    if parts[0] in FOLDERS and len(parts) > 2:
        return "/".join(parts[:2])
    return None


def allowed_for(room):
    rules = ROOMS.get(room)
    if rules is None:
        rules = ROOMS.get(room.split("/")[0] + "/*")
    return rules


def target_of(root, file, quoted, name):
    """The room or public header an #include means; None: a system or third-party header."""
    if name.startswith("pocket/"):
        return name
    if quoted:
        beside = os.path.normpath(os.path.join(os.path.dirname(file), name))
        if os.path.exists(os.path.join(root, beside)):
            return room_of(beside) or beside
    for base in ("src/", "apps/", "engines/", ""):
        # By the name of the folder, so that generated headers (wire/control_generated.h) count too.
        room = room_of(base + name)
        if room and (os.path.isdir(os.path.join(root, room)) if quoted
                     else os.path.exists(os.path.join(root, base + name))):
            return room
    return name if quoted else None


def check_file(root, file, problems):
    """Appends "file:line: ..." for each bad edge of one file; returns how many edges it has."""
    room = room_of(file)
    if room is None:
        problems.append(f"{file}:1: is in no room")
        return 0
    allowed = allowed_for(room)
    if allowed is None:
        problems.append(f"{file}:1: room {room} is not in the table of {os.path.basename(__file__)}")
        return 0
    targets = {}
    with open(os.path.join(root, file), encoding="utf-8") as text:
        for number, line in enumerate(text, 1):
            found = INCLUDE.match(line)
            if not found:
                continue
            target = target_of(root, file, found[1] == '"', found[2])
            if target is None or target == room:
                continue
            targets[target] = number
            if target not in allowed | COMMON:
                listed = ", ".join(sorted(allowed | COMMON))
                problems.append(f"{file}:{number}: {room} -> {target} is not allowed"
                                f" (\"{found[2]}\"); {room} may include: {listed}")
    return len(targets)


def check_tree(root):
    """(files read, edges seen, problems)"""
    files, edges, problems = 0, 0, []
    for top in FOLDERS:
        for folder, _, names in sorted(os.walk(os.path.join(root, top))):
            for name in sorted(names):
                if not name.endswith(SUFFIXES) or name.endswith(("_test.cc", "_test.c")):
                    continue
                files += 1
                edges += check_file(root, os.path.relpath(os.path.join(folder, name), root), problems)
    return files, edges, problems


def find_cycle():
    """A cycle of the table itself; an empty list when there is none."""
    def visit(room, path):
        if room in path:
            return path[path.index(room):] + [room]
        for target in sorted(ROOMS.get(room, ())):
            cycle = visit(target, path + [room])
            if cycle:
                return cycle
        return []
    return next(filter(None, (visit(room, []) for room in ROOMS)), [])


# file, its text, the edge that must be told (None: the file is good)
SELF_TEST = [
    ("src/base/result.h", '#include "pocket/status.h"\n', None),
    ("src/base/clock.h", '\n#include "wire/layout.h"\n', "2: src/base -> src/wire"),
    ("src/wire/layout.h", '#include <vector>\n#include "base/result.h"\n', None),
    ("src/wire/angle.h", '#include <runner/main.h>\n', "1: src/wire -> src/runner"),
    ("src/wire/up.h", '#include "../runner/main.h"\n', "1: src/wire -> src/runner"),
    ("src/wire/layout_test.cc", '#include "runner/main.h"\n', None),
    ("src/runner/main.h", '#include "wire/control_generated.h"\n', None),
    ("src/daemon/spy.cc", '  #  include "runner/main.h"\n', "1: src/daemon -> src/runner"),
    ("src/daemon/typo.cc", '#include "nowhere.h"\n', "1: src/daemon -> nowhere.h"),
    ("src/attic/old.cc", "\n", "1: room src/attic is not in the table"),
    ("src/loose.cc", "\n", "1: is in no room"),
    ("engines/x/engine.cc", '#include "help.h"\n#include "pocket/engine.h"\n', None),
    ("engines/x/help.h", '#include "base/result.h"\n', "1: engines/x -> src/base"),
    ("engines/y/engine.cc", '#include "../x/help.h"\n', "1: engines/y -> engines/x"),
    ("apps/common/image.h", "\n", None),
    ("apps/one/main.cc", '#include "pocket/pocket.hpp"\n#include "common/image.h"\n', None),
    ("apps/one/twin.cc", '#include "base/result.h"\n', None),
    ("apps/two/main.cc", '#include "one/main.h"\n', "1: apps/two -> apps/one"),
]


def self_test():
    failures = []
    with tempfile.TemporaryDirectory(prefix="pocket-include-graph-") as root:
        for file, text, _ in SELF_TEST:
            os.makedirs(os.path.join(root, os.path.dirname(file)), exist_ok=True)
            with open(os.path.join(root, file), "w", encoding="utf-8") as out:
                out.write(text)
        files, _, problems = check_tree(root)
    for file, _, edge in SELF_TEST:
        told = [problem for problem in problems if problem.startswith(file + ":")]
        wanted = [] if edge is None else [f"{file}:{edge}"]
        if len(told) != len(wanted) or not all(t.startswith(w) for t, w in zip(told, wanted)):
            failures.append(f"{file}: told {told}, wanted {wanted}")
    if files != len(SELF_TEST) - 1:
        failures.append(f"{files} files were read, wanted {len(SELF_TEST) - 1}")
    if find_cycle():
        failures.append("the table has a cycle: " + " -> ".join(find_cycle()))
    for failure in failures:
        print("self-test: " + failure)
    print(f"include graph, self-test: {len(SELF_TEST)} cases, {len(failures)} wrong")
    return 1 if failures else 0


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    root = arguments[0] if arguments else os.path.join(os.path.dirname(__file__), "../..")
    files, edges, problems = check_tree(os.path.abspath(root))
    for problem in problems:
        print(problem)
    print(f"include graph: {files} files, {edges} edges between rooms, {len(problems)} not allowed")
    return 1 if problems or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
