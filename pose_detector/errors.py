"""The one kind of error that is the user's to mend."""


class InputError(ValueError):
    """Input that cannot be used. Its message is one line: what is wrong, and what to do about it."""
