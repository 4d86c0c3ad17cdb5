"""How the station is: doctor, metrics, log, what happened."""
