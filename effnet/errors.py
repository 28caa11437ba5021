"""The one exception for everything a user can mend, and how programs end."""

import contextlib
import os
import resource
import signal
import sys
import threading
import time

LONG = 2  # seconds: what takes less needs no account


class InputError(Exception):
    """Bad input, in one sentence: what is wrong, where (file, key, line), what to do about it."""


def leave_at_once(number, frame):
    """What Ctrl-C does while modules load: to raise would be a traceback, and where C++ loads them an abort."""
    os.write(2, b"interrupted\n")
    os._exit(130)


def starting():
    """For the package of a program, `python -m PACKAGE.NAME`: until `run` takes over, Ctrl-C ends it with one line."""
    if sys.argv[0] == "-m" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave_at_once)


@contextlib.contextmanager
def loading():
    """MindSpore is imported inside where a program runs already: Ctrl-C ends it with one line."""
    raises = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else whoever took it knows better
    if not raises or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, leave_at_once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def run(main):
    """Call `main()` as a program: an InputError, a full disk or Ctrl-C ends it with one line and no traceback.

    Exit codes: 0 done, 2 bad input, 130 interrupted, or what `main` returns. A program that did its work says what it
    took, if that was long.
    """
    began = time.perf_counter()
    if signal.getsignal(signal.SIGINT) is leave_at_once:  # all is loaded
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal without a name's letters shows their numbers
    try:
        code = main()
        seconds = time.perf_counter() - began
        if not code and seconds >= LONG:
            _took(seconds)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    except BrokenPipeError:  # who read has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        where = f": {error.filename}" if error.filename else ""
        print(f"error: {error.strerror or error}{where}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    sys.exit(code)


def _took(seconds):
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(processes).ru_maxrss for processes in who)  # KiB on Linux
    name = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    print(f"{name}: {seconds:.0f} s, peak memory {peak / 2**20:.2f} GiB", file=sys.stderr)
