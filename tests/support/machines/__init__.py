"""Computers beside the test: containers, virtual machines, databases, sound cards."""
