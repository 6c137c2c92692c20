"""The experiment for the question: how can one server attend several clients at once?

The same load against each strategy of the HFTP server, in one run, and what each strategy costs.
"""
