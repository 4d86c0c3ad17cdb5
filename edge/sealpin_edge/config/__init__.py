"""station.toml: what a station is."""
