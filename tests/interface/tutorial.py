#!/usr/bin/env python3
"""Does what docs/tutorial.md says, literally, against an installed Pocket.

    tutorial.py BUILD_DIR TUTORIAL

Each block of the page that is marked `sh` is run, in order, by one shell in an empty folder; what a block
marked `text` right after it shows must be what that block printed.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile


def blocks(page):
    """(kind, text) of each marked block, without the indentation of the fences."""
    return re.findall(r"^```(sh|text)\n(.*?)^```$", page, flags=re.M | re.S)


def main():
    build, tutorial = sys.argv[1:]
    with open(tutorial, encoding="utf-8") as file:
        steps = blocks(file.read())
    work = tempfile.mkdtemp(prefix="pocket-tutorial-")
    prefix = os.path.join(work, "prefix")
    environment = dict(os.environ, PATH=os.path.join(prefix, "bin") + ":" + os.environ["PATH"],
                       CMAKE_PREFIX_PATH=prefix, POCKET_SOCKET=os.path.join(work, "pocket.sock"))
    for name in ("POCKET_CPU_POLICY", "POCKET_MEM_POLICY"):
        environment.pop(name, None)
    folder = os.path.join(work, "work")
    os.mkdir(folder)
    ran, shown = 0, 0
    try:
        subprocess.run(["cmake", "--install", build, "--prefix", prefix], check=True, capture_output=True)
        said = ""
        for kind, text in steps:
            if kind == "sh":
                result = subprocess.run(["sh", "-euc", text], cwd=folder, env=environment, text=True,
                                        capture_output=True, timeout=300, check=False)
                said = result.stdout
                if result.returncode != 0:
                    print(f"this failed with {result.returncode}:\n{text}\n{result.stdout}{result.stderr}")
                    return 1
                ran += 1
            else:
                shown += 1
                if text.strip() not in said:
                    print(f"the page shows:\n{text}\nwhat was printed is:\n{said}")
                    return 1
    finally:
        subprocess.run([os.path.join(prefix, "bin", "pocket"), "service", "kill"], env=environment,
                       capture_output=True, check=False)
        shutil.rmtree(work, ignore_errors=True)
    print(f"tutorial: {ran} blocks run, {shown} outputs compared")
    return 0 if ran >= 4 and shown >= 1 else 1


if __name__ == "__main__":
    sys.exit(main())
