"""One module per command of ``trajectile``: its arguments, and what it prints."""
