"""Signed models that are sent to a device: repository client, store, validation, probation, and their manager.

metadata   what a release says, and which one a device takes      archive     a bundle as one file
client     the TUF repository, download over HTTPS                store       what is installed, replaced atomically
validation a run in a sandboxed process before the switch       probation   statistics after the switch
manager    the link's part: when to check, what to publish        update_check   one check, in a process that ends
"""
