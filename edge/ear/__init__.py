"""The process that hears and has no network: microphone -> speech -> emotion -> small messages on a socket."""
