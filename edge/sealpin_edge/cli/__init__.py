"""The programs that run on the station: parse, call, print."""
