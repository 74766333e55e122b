"""Errors that a user can mend: one line that names the field, the value and the legal values."""


class UserError(ValueError):
    """Wrong input. The message names the field, the value and the legal values."""


class ToolError(UserError):
    """A simulator, a compiler or Yosys is missing or failed. The message has what it said."""
