"""Errors that a user can do something about; the command lines print them as one line."""


class InputError(Exception):
    """Something the user gave cannot be used: exit status 2.

    The message is one line that names the file or flag and the fix.
    """


class RunError(Exception):
    """A run cannot go on, though its input was accepted: exit status 1."""


class Stopped(BaseException):
    """A run was asked to stop (SIGTERM) and has saved its state: exit status 143.

    As KeyboardInterrupt, it may arrive anywhere, and what catches the failures of a user's code
    lets it pass.
    """
