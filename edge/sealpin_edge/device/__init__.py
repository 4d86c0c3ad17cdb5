"""The deploying half that runs on the station: sent over SSH as one file, with Python's own library and no other.

It is always the toolkit's own version, whatever release runs on the station, and a blank station needs only Python.
"""
