"""The one exception for everything a user can mend."""

import os
import resource
import sys
import time

LONG = 2  # seconds: what takes less needs no account


class InputError(Exception):
    """Bad input, in one sentence: what is wrong, where (file, key, line), what to do about it."""


def run(main):
    """Call `main()` as a program: an InputError, a full disk or Ctrl-C ends it with one line and no traceback.

    Exit codes: 0 done, 2 bad input, 130 interrupted, or what `main` returns. A program that did its work says what it
    took, if that was long.
    """
    began = time.perf_counter()
    try:
        code = main()
        seconds = time.perf_counter() - began
        if not code and seconds >= LONG:
            _took(seconds)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        where = f": {error.filename}" if error.filename else ""
        print(f"error: {os.strerror(error.errno) if error.errno else error}{where}", file=sys.stderr)
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
