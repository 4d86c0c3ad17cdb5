"""Stand-ins for what surrounds a station: a PLC with a line behind it, an FTP server, a results API.

The demo, the tests and the engineer who commissions a line use the same ones. They talk the real protocols.
"""
