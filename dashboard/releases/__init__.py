"""The hub's part in pushing models: static files, an upload that trusts nobody, and the two online roles of TUF."""
