"""Reports: a run as a screen, as words, as one cell's explanation, as JSON. Pure functions of a matrix."""
