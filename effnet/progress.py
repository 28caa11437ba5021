"""Progress of long work: a bar with rate and time left on a terminal, a plain line now and then in a log."""

import sys

from tqdm import tqdm

SECONDS_BETWEEN_LOG_LINES = 15


def bar(iterable=None, total=None, unit="img", what="", disable=False):
    """A tqdm bar over `iterable` (or driven by `.update(n)`), fit for a terminal or a log file."""
    terminal = sys.stderr.isatty()
    return tqdm(
        iterable,
        total=total,
        unit=unit,
        unit_scale=unit == "B",  # bytes as kB, MB, GB
        desc=what,
        dynamic_ncols=terminal,
        mininterval=0.2 if terminal else SECONDS_BETWEEN_LOG_LINES,
        maxinterval=10 if terminal else SECONDS_BETWEEN_LOG_LINES,
        file=None if terminal else _Lines(),
        leave=terminal,
        ascii=not terminal,
        disable=disable,
    )


class _Lines:
    """Turns tqdm's carriage returns into lines, so that a log stays readable."""

    def write(self, text):
        text = text.strip("\r\n\x1b[A ")
        if text:
            sys.stderr.write(text + "\n")

    def flush(self):
        sys.stderr.flush()
