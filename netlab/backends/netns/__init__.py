"""The `netns` backend: a lab of Linux network namespaces, without root, that can't outlive its process.

Theory of operation

- `launch` starts one process, the *lab init*, through util-linux `unshare`: a user namespace (where it may do
  what root may), and in it a PID, a network, a mount and a UTS namespace. It is PID 1 of that PID namespace,
  so that its end is the end of every process of the lab; and with the last process go the namespaces, their
  interfaces and their mounts. Nothing has a name outside: no file in /run/netns, no interface on the machine,
  no temporary file on a disk.
- The lab init holds one end of a socket pair, and a pidfd of the controller (the process that runs netlab).
  End of file on the one, or an event on the other, is the end of the lab. So whatever happens to the
  controller, even SIGKILL, and whenever, takes the lab with it: there is nothing to clean up, and nobody who
  could forget to.
- `init` is its program. It makes a network, mount and UTS namespace per host (`namespaces`), with a private
  /etc (`etc`) and known sysctls (`sysctls`), and connects them over rtnetlink (`network`, `netlink`). Its own
  network namespace is the *fabric*: one bridge per network, and no way out.
- To run a program on a host, the controller makes pipes and sends them over the socket (`wire`); the lab init
  enters the host's namespaces, spawns the program and goes back. `channel` and `follower` are the
  controller's end of those pipes.
- Where the kernel or a policy forbids any of it, `obstacles` says which, and what to do.

Sources: unshare(1), user_namespaces(7), pid_namespaces(7), network_namespaces(7), setns(2), veth(4),
pidfd_open(2).
"""

from netlab.backends.netns.lab import NetnsLab

__all__ = ["NetnsLab"]
