"""Errors that a user can fix; both commands print them as one line."""


class InputError(Exception):
    """Input of the user cannot be used: exit status 2.

    The message is one line that names the file or option and the fix.
    """


class RunError(Exception):
    """A run cannot continue, although its input was accepted: exit status 1."""


class Stopped(BaseException):
    """A run was asked to stop (SIGTERM) and has saved its state: exit status 143.

    Like KeyboardInterrupt it is no Exception: code that catches all errors of a user's function
    must let it pass.
    """
