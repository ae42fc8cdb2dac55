"""Errors that the user can correct, as opposed to bugs."""


class UserError(ValueError):
    """An error that the user can correct. The text is one line: what is wrong, where, and the remedy."""
