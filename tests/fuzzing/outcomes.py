"""What may come of a case: it works, or one of our errors says what was wrong."""

import contextlib
import signal
import warnings

WORKED, REFUSED = "worked", "refused"
OURS = (ValueError, OSError, ImportError, FloatingPointError)
SECONDS = 60  # of the processor, whatever else the machine does; no case takes more than a few


class Hangs(Exception):
    """A case that took too long."""


@contextlib.contextmanager
def time_limit(seconds: int = SECONDS):
    """Raises `Hangs` in the main thread after so many seconds."""

    def stop(*_):
        raise Hangs(f"still running after {seconds} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def of(work) -> str:
    """Returns `WORKED` or `REFUSED`; any error that is not in the style of the house goes through.

    Our warnings are not errors here; those of NumPy are, which come before a wrong number.
    """
    try:
        with warnings.catch_warnings(), time_limit():
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("error", RuntimeWarning)
            work()
    except OURS as error:
        if not in_style(str(error)):
            raise
        return REFUSED
    return WORKED


def in_style(message: str) -> bool:
    """Returns whether an error says what was wrong, what was expected and what was received."""
    wrong, expected, received = message.partition("Expected")[0], "Expected", "Received"
    return bool(wrong.strip()) and expected in message and received in message
