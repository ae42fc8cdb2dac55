"""Tests of single pages in a browser."""
