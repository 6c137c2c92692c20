"""The commands of `netlab`, one a file. Each imports what it needs when it runs."""
