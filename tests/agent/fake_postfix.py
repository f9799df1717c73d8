"""A Postfix of a test's own: postqueue, postsuper, postcat and postconf as scripts, on messages that are JSON files.

Spool(root)                        messages under root/var/spool/postfix, a file each, as recorded of Postfix
  put(id, queue=…, sender=…, …)    one more
  where(id) -> str                 its queue; "" where it is gone
  calls() -> [str]                 what changed something: `postsuper -d 4F0A1B2C3D`
  before                           the code that makes an agent call these programs (driver.Agent)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

QUEUES = ("active", "deferred", "hold", "incoming", "maildrop")

PROGRAM = """\
#!{python} -I
import json, os, sys, time
from pathlib import Path
spool = Path({spool!r})
name, words = os.path.basename(sys.argv[0]), sys.argv[1:]
def log():
    with open(spool / "calls", "a") as file:
        file.write(" ".join([name, *words]) + "\\n")
def find(name):
    return next((spool / q / name for q in {queues!r} if (spool / q / name).exists()), None)
hook = spool / ("hook-" + name)
if hook.exists():
    exec(hook.read_text())
if name == "postconf":
    settings = dict(queue_directory="/var/spool/postfix", hash_queue_names="deferred, defer", hash_queue_depth="1",
        maximal_queue_lifetime="5d", bounce_queue_lifetime="1d", multi_instance_directories="")
    print("\\n".join(k + " = " + v for k, v in settings.items()))
elif name == "postqueue" and words == ["-j"]:
    for q in {queues!r}:
        for path in sorted((spool / q).iterdir()):
            print(path.read_text())
    if (spool / "extra").exists():
        sys.stdout.flush(); sys.stdout.buffer.write((spool / "extra").read_bytes())
elif name == "postqueue":
    log()
elif name == "postcat":
    path = find(words[-1])
    if path is None:
        sys.exit("postcat: fatal: open queue file " + words[-1])
    told = json.loads(path.read_text())
    if "-e" in words:
        sender = "" if told["sender"] == "MAILER-DAEMON" else told["sender"]
        when = time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime(told["arrival_time"]))
        print("*** ENVELOPE RECORDS ***\\nmessage_arrival_time: " + when + "\\nsender: " + sender)
    else:
        print("Subject: text of " + words[-1] + "\\n\\nbody")
elif name == "postsuper":
    log()
    flag, wanted = words
    path = find(wanted)
    if path is not None and flag == "-d" and path.parent.name != "maildrop":
        path.unlink()
    elif path is not None and flag in ("-h", "-H"):
        told = json.loads(path.read_text())
        told["queue_name"] = "hold" if flag == "-h" else "deferred"
        if flag == "-h" or path.parent.name == "hold":
            path.unlink()
            (spool / told["queue_name"] / wanted).write_text(json.dumps(told))
"""


class Spool:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "var/spool/postfix"
        for queue in QUEUES:
            (self.path / queue).mkdir(parents=True)
        tools = root / "tools"
        tools.mkdir()
        text = PROGRAM.format(python=sys.executable, spool=str(self.path), queues=QUEUES)
        for name in ("postqueue", "postsuper", "postcat", "postconf"):
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)
        self.before = (
            f"from mailprov.agent import commands; commands.PATH = {str(tools)!r} + ':/usr/bin:/bin'"
        )

    def put(
        self,
        name: str,
        queue: str = "deferred",
        sender: str = "ana@a.test",
        to: str = "x@else.test",
        reason: str = "connect to mx.else.test[192.0.2.9]:25: Connection refused",
        arrived: int = 1_700_000_000,
        size: int = 300,
    ) -> None:
        recipient = {"address": to, **({"delay_reason": reason} if reason else {})}
        told = {
            "queue_name": queue, "queue_id": name, "arrival_time": arrived, "message_size": size,
            "forced_expire": False, "sender": sender, "recipients": [recipient],
        }  # fmt: skip
        (self.path / queue / name).write_text(json.dumps(told))

    def hook(self, program: str, code: str) -> None:
        """What runs in this program before it does anything: `name`, `words`, `spool` and `find` are there."""
        (self.path / f"hook-{program}").write_text(code)

    def where(self, name: str) -> str:
        return next((queue for queue in QUEUES if (self.path / queue / name).exists()), "")

    def ids(self) -> set[str]:
        return {path.name for queue in QUEUES for path in (self.path / queue).iterdir()}

    def calls(self) -> list[str]:
        path = self.path / "calls"
        return path.read_text().splitlines() if path.exists() else []
