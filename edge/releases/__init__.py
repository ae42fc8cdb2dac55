"""Signed models that are sent to a device.

metadata        what a release says, and which one a device takes
archive         a bundle as one file
repository      downloads verified metadata and archives from the hub
store           what is installed, replaced atomically
validation      runs a new model in a sandboxed process before the switch
probation       watches it after the switch, and decides about a roll-back
update_service  the process that checks for updates and writes the store
manager         the link's part: when to check, what to publish
"""
