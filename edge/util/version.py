"""The version of Roomtone."""

VERSION = "0.2.0"
