"""What every command shares at the terminal: arguments, errors and exit codes, progress, tables, completion."""
