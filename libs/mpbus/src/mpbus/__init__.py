"""How commands and commits travel over JetStream: packing, stream settings, the verified log reader."""
