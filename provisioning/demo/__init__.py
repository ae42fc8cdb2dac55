"""The whole chain on one machine: broker, dashboard, and an ear and a link for each room, as child processes."""
