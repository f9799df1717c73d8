"""policy-rc.d(8) while packages are installed: no daemon is started, stopped or restarted by its package.

    hold(tree)           one of the administrator's is kept aside
    drop(tree)           take ours away, put the other back
    release(tree, say)   after a run that was killed: the same, once no apt of that run goes on behind it

A daemon that runs goes on as it is until the services' turn. Waits as dpkg_lock does, and raises its AgentError.
"""

from __future__ import annotations

import os

from mailprov.agent import files
from mailprov.agent.apt import dpkg_lock

PATH = "/usr/sbin/policy-rc.d"
_KEPT = PATH + ".kept-by-mailprov"
_MARK = b"mailprov: no daemon starts before it is configured"


def hold(tree: files.Tree) -> None:
    """policy-rc.d that refuses every start."""
    path = tree.at(PATH)
    if files.look(path) is not None and _MARK not in (files.read(path) or b""):
        os.rename(path, tree.at(_KEPT))
    files.write(path, b"#!/bin/sh\n# " + _MARK + b"\nexit 101\n", 0o755)


def drop(tree: files.Tree) -> None:
    """Safe to call at any time."""
    path, kept = tree.at(PATH), tree.at(_KEPT)
    if _MARK in (files.read(path) or b""):
        files.remove(path)
    if files.look(kept) is not None and files.look(path) is None:
        os.rename(kept, path)


def release(tree: files.Tree, say: dpkg_lock.Say) -> None:
    """Safe to call at any time."""
    if _MARK in (files.read(tree.at(PATH)) or b"") and not tree.root:
        os.close(dpkg_lock.take(tree, say, lambda: None))
    drop(tree)
