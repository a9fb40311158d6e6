"""The chaos suite's parts: simulated hosts, actors, faults, network file systems, and the proof afterwards."""
