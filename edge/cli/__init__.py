"""The sub-commands of `roomtone`, one file each. Nothing else imports them."""
