"""From a look at a notebook to the next step, and the wait in between."""
