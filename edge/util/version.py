"""The version of Roomtone."""

VERSION = "0.1.0"
