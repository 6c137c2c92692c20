"""A run in one file, to be looked at elsewhere: what came of it, what was read, said and sent.

- `recorder/` runs on the hosts, like the agent: it captures packets, and reads what services wrote.
- `recording` is the controller's end of it.
- `scrub` removes secrets; nothing gets into the archive without passing through it.
- `archive` is the file, with a manifest of what is in it, and of what is not, and why.
- `contents` says what goes in.
"""
