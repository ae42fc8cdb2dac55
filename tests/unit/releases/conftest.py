"""A folder in memory for what synchronises often."""

from tests.support.site.updating_device import folder

__all__ = ["folder"]
