"""pyinfra's description of the bench's host: reads state.json (see bench/peers.py). Runs under pyinfra only."""

import json
import os
from pathlib import Path

from pyinfra.operations import apt, files, server, systemd

folder = Path(os.environ["BENCH_FOLDER"])
wanted = json.loads((folder / "state.json").read_text())

if os.environ["BENCH_FIRST"]:
    answers = "\\n".join(" ".join(each) for each in wanted["debconf"])
    server.shell(name="Answers for debconf", commands=f"printf '{answers}\\n' | debconf-set-selections")
apt.packages(name="Packages", packages=wanted["packages"], no_recommends=True, update=True, cache_time=86400)
for user in wanted["users"]:
    server.user(
        name="User",
        user=user["name"],
        home=user["home"],
        shell=user["shell"],
        comment=user["comment"],
        system=True,
        create_home=False,
    )
for directory in wanted["directories"]:
    files.directory(
        name=f"Directory {directory['path']}",
        path=directory["path"],
        user=directory["owner"],
        group=directory["group"],
        mode=directory["mode"].lstrip("0"),
    )
put = {
    file["path"]: files.put(
        name=f"File {file['path']}",
        src=str(folder / os.environ["BENCH_STATE"]) + file["path"],
        dest=file["path"],
        user=file["owner"],
        group=file["group"],
        mode=file["mode"].lstrip("0"),
    )
    for file in wanted["files"]
}
for unit in wanted["services"]:
    systemd.service(name=f"Service {unit['unit']}", service=unit["unit"], running=True, enabled=True)
    read = [put[path] for path in unit["files"] if path in put]
    systemd.service(
        name=f"Reload {unit['unit']}",
        service=unit["unit"],
        reloaded=True,
        _if=lambda read=read: any(each.did_change() for each in read),
    )
