"""An AWS in one process: MiniStack with corrections, and simulators of what it lacks."""
