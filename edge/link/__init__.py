"""The process that talks: no microphone, no sound library; it hears of the room only through the ear's socket."""
