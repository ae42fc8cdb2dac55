"""Every message between ear, link, broker and subscribers, and the topics they are published on."""
