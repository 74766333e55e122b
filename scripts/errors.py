"""Errors that a user can mend: shown as one line, without a traceback."""


class UserError(ValueError):
    """Wrong input. The message names the field, the value and the legal values."""


class ToolError(UserError):
    """A simulator is missing or failed. The message has what it said."""
