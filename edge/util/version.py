"""The one place where the version of the daemon stands."""

VERSION = "0.1.0"
