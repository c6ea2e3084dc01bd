"""Child processes that never outlive a test, and the way a test says that it does not apply here."""
import ctypes
import os
import signal
import subprocess
import sys

SKIPPED = 77
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Skip(Exception):
    """This host lacks something; the text says what and what to do."""


def start(command, **options):
    """Popen whose child gets SIGTERM when this process dies, however it dies."""
    parent = os.getpid()

    def follow_parent():
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return subprocess.Popen(command, preexec_fn=follow_parent, **options)


def stop(process, seconds):
    """SIGTERM, and SIGKILL when that is not enough within `seconds`; its return code."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def end_on_signals():
    """SIGTERM and SIGINT end this program through its `with` and `finally` blocks."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda caught, _: sys.exit(128 + caught))
