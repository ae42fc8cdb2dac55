"""What went wrong in the user's world, not in the code."""


class UserError(ValueError):
    """The user can mend this. The text is one line: what is wrong, where, and the remedy."""
