"""Which release this is."""

from importlib import metadata


def version() -> str:
    """Version of this generator; 0 where it runs without having been installed."""
    try:
        return metadata.version("trajectile")
    except metadata.PackageNotFoundError:
        return "0"
