"""The embedded AWS's process: MiniStack, with corrections and the simulators inside."""
