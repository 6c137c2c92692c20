"""The keywords of ssh_config(5) that say how a machine is reached, and what becomes of the others."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

from netlab.inventory.names import check_host, check_key_alias, check_path, check_port, check_user, shown
from netlab.inventory.settings import Settings, read_hops

# `UserKnownHostsFile none`: no host key is known.
_NO_FILE = "/dev/null"

_FLAGS = {"yes": True, "true": True, "no": False, "false": False}

# What is not followed though it would change who is reached, and what to do about it.
REASONS = {
    "addressfamily": "addresses are tried as the system orders them",
    "batchmode": "netlab asks for what it needs, once",
    "bindaddress": "connections leave from where the routes say",
    "bindinterface": "connections leave from where the routes say",
    "canonicalizehostname": "write names as the resolver knows them",
    "certificatefile": "certificates are not used",
    "identityagent": "the agent is the one of SSH_AUTH_SOCK",
    "knownhostscommand": "host keys are read from files only",
    "pkcs11provider": "load the key into the agent",
    "revokedhostkeys": "host keys are read from known_hosts only",
    "stricthostkeychecking": "host keys are always checked; --accept-new records new ones",
}

# The others of ssh_config(5), OpenSSH 9.9, of Debian and of macOS. They change nothing here.
_OTHERS = """
addkeystoagent canonicaldomains canonicalizefallbacklocal canonicalizemaxdots canonicalizepermittedcnames
casignaturealgorithms challengeresponseauthentication channeltimeout checkhostip ciphers
clearallforwardings compression connectionattempts connecttimeout controlmaster controlpath
controlpersist dynamicforward enableescapecommandline enablesshkeysign escapechar exitonforwardfailure
fingerprinthash forkafterauthentication forwardagent forwardx11 forwardx11timeout forwardx11trusted
gatewayports globalknownhostsfile gssapiauthentication gssapiclientidentity gssapidelegatecredentials
gssapikexalgorithms gssapikeyexchange gssapirenewalforcesrekey gssapiserveridentity gssapitrustdns
hashknownhosts hostbasedacceptedalgorithms hostbasedauthentication hostbasedkeytypes hostkeyalgorithms
ignoreunknown ipqos kbdinteractiveauthentication kbdinteractivedevices kexalgorithms localcommand
localforward loglevel logverbose macs nohostauthenticationforlocalhost numberofpasswordprompts
obscurekeystroketiming passwordauthentication permitlocalcommand permitremoteopen
preferredauthentications proxyusefdpass pubkeyacceptedalgorithms pubkeyacceptedkeytypes
pubkeyauthentication rekeylimit remotecommand remoteforward requesttty requiredrsasize
securitykeyprovider sendenv serveralivecountmax serveraliveinterval sessiontype setenv stdinnull
streamlocalbindmask streamlocalbindunlink syslogfacility tag tcpkeepalive tunnel tunneldevice
updatehostkeys usekeychain useroaming verifyhostkeydns versionaddendum visualhostkey xauthlocation
"""


def split_words(text: str) -> list[str]:
    """Return a value's words, as OpenSSH's argv_split() (misc.c) does: quotes group, `#` begins a comment.

    Raises:
        ValueError: a quote is not closed.
    """
    words: list[str] = []
    word: str | None = None
    quote = ""
    letters = iter(range(len(text)))
    for at in letters:
        letter, after = text[at], text[at + 1 : at + 2]
        if letter == "\\" and after and (after in "'\"\\" or (after == " " and not quote)):
            word = (word or "") + after
            next(letters)
        elif letter in "'\"" and quote in ("", letter):
            word, quote = word or "", "" if quote else letter
        elif letter in " \t" and not quote:
            words, word = (words if word is None else [*words, word]), None
        elif letter == "#" and word is None:
            break
        else:
            word = (word or "") + letter
    if quote:
        raise ValueError(f"{shown(text)}: a quote is not closed")
    return words if word is None else [*words, word]


def _one(text: str) -> str:
    words = split_words(text)
    if len(words) != 1 or not words[0]:
        raise ValueError(f"takes one value, not {shown(text)}")
    return words[0]


def _host_name(text: str) -> Settings:
    name = _one(text)
    return Settings(address=name if "%" in name else check_host(name))


def _identity_file(text: str) -> Settings:
    file = check_path(_one(text))
    return Settings() if file.lower() == "none" else Settings(keys=(file,))


def _identities_only(text: str) -> Settings:
    word = _one(text)
    if word.lower() not in _FLAGS:
        raise ValueError(f"{shown(word)} is neither yes nor no")
    return Settings(only_these_keys=_FLAGS[word.lower()])


def _known_hosts(text: str) -> Settings:
    files = tuple(map(check_path, split_words(text)))
    if not files:
        raise ValueError("takes files, or none")
    if [file.lower() for file in files] == ["none"]:
        return Settings(known_hosts=(_NO_FILE,))
    return Settings(known_hosts=files)


def _proxy_command(text: str) -> Settings:
    """Follow `ssh -W %h:%p HOST`, which is what ProxyJump replaced, and `none`."""
    if text.strip().lower() == "none":
        return Settings(jump=())
    try:
        words = [word for word in shlex.split(text) if word not in ("-q", "exec")]
    except ValueError:
        words = []
    words = (
        [word for word in words if word != "-W"]
        if "%h:%p" in words
        else [w.removeprefix("-W") for w in words]
    )
    if len(words) == 3 and re.fullmatch(r"(/[\w./-]*/)?ssh", words[0]) and "%h:%p" in words[1:]:
        words.remove("%h:%p")
        if not words[1].startswith("-"):
            return Settings(jump=read_hops(words[1]))
    raise NotFollowedError("is not run: write it as ProxyJump, if it is a way through another machine")


class NotFollowedError(Exception):
    """A setting is understood by ssh and not by netlab; its text says why."""


_READERS: dict[str, Callable[[str], Settings]] = {
    "hostkeyalias": lambda text: Settings(host_key_alias=check_key_alias(_one(text))),
    "hostname": _host_name,
    "identitiesonly": _identities_only,
    "identityfile": _identity_file,
    "port": lambda text: Settings(port=check_port(_one(text))),
    "proxycommand": _proxy_command,
    "proxyjump": lambda text: Settings(jump=read_hops(_one(text))),
    "user": lambda text: Settings(user=check_user(_one(text))),
    "userknownhostsfile": _known_hosts,
}

FOLLOWED = frozenset(_READERS)
KNOWN = FOLLOWED | REASONS.keys() | {*_OTHERS.split(), "host", "match", "include"}


def read_setting(keyword: str, text: str) -> Settings:
    """Return what a line says about reaching a machine.

    Args:
        keyword: in lower case.
        text: its value, as it stands in the file.

    Raises:
        NotFollowedError: it is none of those that are followed, though it matters.
        ValueError: its value can't be.
    """
    if keyword in REASONS:
        raise NotFollowedError(REASONS[keyword])
    reader = _READERS.get(keyword)
    return reader(text) if reader else Settings()
