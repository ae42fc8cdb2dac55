"""A process that a service manager runs: its runtime directory, and back-off between quick restarts."""
