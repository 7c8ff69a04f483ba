"""The embedded AWS, and what drives it: nothing here runs in Lambda, nothing there knows of it."""
