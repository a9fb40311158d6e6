"""Look after the dbs of an area: check, rebuild, migrate, vacuum, stat."""
