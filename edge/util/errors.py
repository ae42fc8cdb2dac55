"""Errors that the user can correct, as opposed to bugs."""


class UserError(ValueError):
    """An error that the user can correct. The text is one line: what is wrong, where, and the remedy."""

    status = 2
    """Exit status of a command that ends with it."""


class NotInForceError(UserError):
    """What was changed here is not in force where it has to be: at the broker, at the hub. A repeat tries again."""

    status = 3


def reason(error: OSError) -> str:
    """Return why the system refused something, in words: many errors of sockets and TLS have no `strerror`."""
    return error.strerror or str(error) or type(error).__name__
