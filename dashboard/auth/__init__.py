"""Authentication and authorisation: users, sessions, API tokens, the audit log, and the middleware."""
