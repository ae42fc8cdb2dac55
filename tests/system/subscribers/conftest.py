"""A real link and an ear, as the tests of the link have them."""

from tests.system.link.conftest import ear, link

__all__ = ["ear", "link"]
