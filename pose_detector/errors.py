"""The error for bad input, which the user can put right."""


class InputError(ValueError):
    """Input that cannot be used. Its message is one line: what is wrong, and what to do about it."""
