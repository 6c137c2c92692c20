"""What works on a host for `netlab deploy`: sent over the connection, and run there as `deployer`.

The modules travel together (`netlab.deploy.machine`), run on Python 3.8 and later with the standard library
alone, and import nothing but one another. They start quickly, so paths are strings here: pathlib alone takes
as long as the rest.

    BASE/lock                  flock(2) of the one deployer at work; the kernel takes it back when that ends
    BASE/releases/ID/          a release: release.json, of which ID is the SHA-256, and the files it lists
    BASE/releases/ID/good      it was healthy and reached as wanted: a release to go back to
    BASE/current -> ID         the one that runs; replaced by rename(2), so always there and whole
    BASE/method                what runs it: a supervisor, systemd, a container
    BASE/run/, BASE/log/       the supervisor's, where no systemd does the work
    BASE/deploys.log           a line for each change, and who made it
"""
