"""Who may see and do what: accounts, login, the gate before every request."""
