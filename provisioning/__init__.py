"""Everything that puts Roomtone on a machine: the demo, and the installer of room devices."""
