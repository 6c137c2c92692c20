"""Reports: a run as a screen, words, a cell's explanation, HTML, JSON, JUnit. Pure functions of a matrix."""
