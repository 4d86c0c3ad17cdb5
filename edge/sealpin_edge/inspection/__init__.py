"""One part: trigger, photo, checks, verdict; the loop around it, and the record behind it."""
