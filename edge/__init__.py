"""What runs on a room device, and the speech and model code that the workstation and the hub share with it."""
