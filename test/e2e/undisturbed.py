"""undisturbed -- tests of times that a busy machine may spoil are tried up to three times.

Only what may be the machine's fault raises Disturbed; what the library does wrong it does each time."""
import functools


class Disturbed(AssertionError):
    """So it looks, too, when a thread has lost its processor at the wrong moment."""


def at_least(got, least):
    if got < least:
        raise Disturbed('%g, and not %g or more' % (got, least))


def at_most(got, most):
    if got > most:
        raise Disturbed('%g, and not %g or less' % (got, most))


def undisturbed(test):
    @functools.wraps(test)
    def again(*args, **kw):
        for left in 2, 1, 0:
            try:
                return test(*args, **kw)
            except Disturbed:
                if left == 0:
                    raise
    return again
