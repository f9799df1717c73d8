"""Strangers at the webmail's door, users who want into another's mailbox, and mail that wants into a reader's browser.

Debian 12 and 13. What a mail does in a browser is looked at in one: a page that it may not have fetched, a script that ran.
"""

from __future__ import annotations

import imaplib
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mailprov import lab
from tests.attacks.tries import LONG, Tries, some
from tests.lab.labs import run_on, wait_until
from tests.users.browser import MISSING, Browser
from tests.users.webmail import Answer, Site, Web, inventory, provisioned

RELEASES = ("debian-12", "debian-13") if LONG else ("debian-13",)
MARK = "zq7executedqz"


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    return provisioned(ready_lab_factory, inventory(RELEASES, '10.0.0.0/8, "fd00::/8"'))


@pytest.fixture(params=RELEASES)
def site(request: pytest.FixtureRequest, hosts: lab.Lab) -> Site:
    return Site(hosts, request.param)


def logged_in(site: Site, user: str = "ana") -> tuple[Web, str]:
    """With the token that this session's pages have."""
    web = site.web()
    answer = web.login(f"{user}@{site.domain}", site.password(user))
    assert answer.status == 302, answer
    return web, token(web)


def token(web: Web) -> str:
    found = re.search(r'"request_token":"([^"]+)"', web.get("/?_task=mail").text)
    assert found
    return found.group(1)


def inside(answer: Answer) -> bool:
    """Whether it is a page for somebody who is logged in."""
    return (answer.status == 302 and "_task=login" not in answer.location) or '"task":"mail"' in answer.text


NAMES = [
    "' OR '1'='1", "ana' --", 'ana" NOOP', "ana\r\na1 LOGOUT", "ana\na1 CAPABILITY", "ana\0", "ana\0@{d}", "ana@{d}\0x", "{{5}}", "ana {{3+}}\r\nabc",
    "ana@{d}\r\nFrom: x", "ana@{d} luis@{d}", "*", "ana@{d}*", "<script>MARK</script>", "\"><img src=x onerror=MARK>", "{{php}}MARK", "${{MARK}}", "$(id)", "`id`", "|id", "../ana",
    "../../etc/passwd", "%00", "%n%n%n%n", "ana@127.0.0.1", "ana@{d}@evil.test", "ana%evil.test", "ana+x@{d}", "root", "mailprov-webmail", "ana@[{d}]", "\u202eana@{d}", "ana\uff20{d}",
    "x" * 300, "x" * 100_000, "ana@{d}" + " " * 5000 + "x", "from 198.51.100.1 in session x (error: 0)", "O:8:\"stdClass\":0:{{}}", "a:1:{{i:0;s:1:\"x\";}}",
]  # fmt: skip


def test_names_at_the_login_are_only_names(site: Site, tries: Tries) -> None:
    def attempt(name: str) -> None:
        user = name.format(d=site.domain).replace("MARK", MARK)
        answer = site.web().login(user, "no password")
        raw = f"<script>{MARK}" in answer.text or f"onerror={MARK}" in answer.text
        tries.held(f"name {name[:40]!r}", answer.status in (400, 401, 403, 413) and not raw, answer.status)

    with ThreadPoolExecutor(4) as pool:  # each costs five seconds, and nginx lets one a second through
        list(pool.map(attempt, some(NAMES, 8)))
    web = site.web()
    for field in ("_user[]", "_user[a][b]", "_pass[]", "_host", "_host[]"):
        answer = web.post("/?_task=login", {**web.form(), field: f"ana@{site.domain}", "_pass": "x"})
        tries.held(f"field {field}", not inside(answer) and answer.status < 500, answer.status)


def test_a_login_needs_its_own_session_and_token(site: Site, tries: Tries) -> None:
    user, right = f"ana@{site.domain}", site.password("ana")
    own = site.web()
    form = own.form()
    good = {"_user": user, "_pass": right}
    for what, fields in (
        ("no token", {name: value for name, value in form.items() if name != "_token"}),
        ("an empty token", {**form, "_token": ""}),
        ("a made-up token", {**form, "_token": "A" * 32}),
        ("a list as token", {**{k: v for k, v in form.items() if k != "_token"}, "_token[]": form["_token"]}),
        ("another session's token", {**form, "_token": site.web().form()["_token"]}),
    ):
        tries.held(what, not inside(own.post("/?_task=login", {**fields, **good})))
    bare = site.web()
    tries.held("a token without its cookie", not inside(bare.post("/?_task=login", {**form, **good})))
    by_get = "&".join(f"{name}={value}" for name, value in {**form, **good}.items())
    tries.held("a login by GET", not inside(site.web().get(f"/?{by_get.replace(' ', '%20')}")))
    # A session that somebody else has prepared.
    for fixed in ("A" * 26, "evil", "../../x", "a,b-c"):
        victim = site.web()
        victim.cookies["roundcube_sessid"] = fixed
        victim.login(user, right)
        attacker = site.web()
        attacker.cookies["roundcube_sessid"] = fixed
        seen = attacker.get("/?_task=mail")
        tries.held(f"fixed session {fixed}", victim.cookies["roundcube_sessid"] != fixed and not inside(seen))
    prepared = site.web()
    prepared.form()
    before = prepared.cookies["roundcube_sessid"]
    victim = site.web()
    victim.cookies.update(prepared.cookies)
    assert inside(victim.login(user, right))
    tries.held(
        "the attacker's own session, logged into by the victim",
        not inside(prepared.get("/?_task=mail")),
        before,
    )
    # A session's number is not enough. Roundcube ends the session when somebody has only that.
    for other in ("", "x", "-del-", "S" * 40):
        victim, thief = site.web(), site.web()
        assert inside(victim.login(user, right))
        thief.cookies["roundcube_sessid"] = victim.cookies["roundcube_sessid"]
        if other:
            thief.cookies["roundcube_sessauth"] = other
        tries.held(f"a session's number with {other!r}", not inside(thief.get("/?_task=mail")))
    for url in (
        "https://evil.test/",
        "//evil.test/",
        "?_task=mail&_action=x\r\nX: y",
        "_task=../..",
        "\\evil.test",
    ):
        web = site.web()
        answer = web.post("/?_task=login", {**web.form(), **good, "_url": url})
        wrong = (
            "evil" in answer.location.partition("?")[0] or "\n" in answer.location or "X" in answer.headers
        )
        tries.held(f"sent on to {url!r}", not wrong, answer.location)


PATHS = [
    "/config/config.inc.php", "/config/", "/config.inc.php", "/config/defaults.inc.php", "/config/config.inc.php~", "/config/config.inc.php.bak", "/config/.config.inc.php.swp", "/.htaccess", "/.git/config", "/composer.json",
    "/installer/", "/installer/index.php", "/installer", "/bin/", "/bin/installto.sh", "/bin/decrypt.sh", "/bin/gc.sh", "/SQL/sqlite.initial.sql", "/SQL/", "/logs/errors.log", "/logs/", "/temp/", "/temp/x", "/vendor/autoload.php", "/roundcube.db",
    "/program/include/rcmail.php", "/program/include/iniset.php", "/program/lib/Roundcube/rcube.php", "/program/localization/en_US/labels.inc", "/plugins/password/config.inc.php", "/plugins/password/password.php", "/plugins/mailprov/mailprov.php",
    "/plugins/managesieve/config.inc.php.dist", "/plugins/enigma/home/", "/plugins/", "/skins/", "/skins/elastic/meta.json", "/program/", "/program/js/../../index.php", "/program/js/..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/../../../etc/passwd", "/..%2f..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/skins/../../../../etc/passwd", "/skins/..%2f..%2f..%2f..%2fetc%2fpasswd.css", "/plugins/..;/config/config.inc.php", "/skins/%00.css", "/skins/x.php%00.css",
    "/var/lib/mailprov-webmail/roundcube.db", "/var/lib/mailprov-webmail/des_key", "/des_key", "/etc/mailprov/webmail/config.inc.php", "//etc/passwd", "/index.php/x.css", "/index.php/../config/config.inc.php", "/skins/elastic/images/logo.svg/x.php", "/program/js/app.js/.php", "/skins/elastic/images/logo.svg%0a.php",
    "/index.php~", "/index.php.bak", "/index.phps", "/index.PHP", "/INDEX.PHP", "/phpinfo.php", "/info.php", "/test.php", "/status", "/ping", "/fpm-status", "/server-status", "/.env", "/.well-known/", "/README.md", "/CHANGELOG.md", "/INSTALL", "/robots.txt/x.php",
    "/?_task=utils&_action=modcss&_u=/etc/passwd", "/?_task=utils&_action=modcss&_u=file:///etc/passwd", "/?_task=utils&_action=modcss&_u=http://127.0.0.1:11334/", "/?_skin=../../../../etc", "/?_task=../../etc/passwd", "/?_action=../../../etc/passwd", "/?_task=settings&_action=plugin.password", "/?_task=mail&_action=get&_mbox=INBOX&_uid=1&_part=1",
    "/?_task=mail&_action=list&_mbox=INBOX", "/?_task=settings&_action=save-prefs", "/?_task=login&_action=oauth", "/?_task=cli", "/?_task=dummy", "/static.php/plugins/x", "/?_extwin=1&_task=addressbook",
]  # fmt: skip
SECRETS = (
    "root:",
    "des_key",
    "db_dsnw",
    "SQLite format",
    "CREATE TABLE",
    "<?php",
    "class rcmail",
    "peer_name",
    "[core]",
)


def test_nothing_but_pages_is_served(site: Site, tries: Tries) -> None:
    web = site.web()
    for path in some(PATHS, 25):
        try:
            answer = web.get(path)
        except OSError:
            tries.held(path, True)
            continue
        leaks = [each for each in SECRETS if each in answer.text]
        shown = (
            answer.status == 200 and '"task":"login"' not in answer.text and path.startswith("/?") is False
        )
        tries.held(
            path, not leaks and not shown and not inside(answer), (answer.status, leaks, answer.text[:80])
        )
    for method in ("PUT", "DELETE", "PROPFIND", "TRACE", "OPTIONS", "CONNECT", "PATCH", "X"):
        try:
            answer = web.ask(method, "/program/x.php", "<?php echo 1;")
            tries.held(f"{method}", answer.status in (400, 403, 404, 405, 501), answer.status)
        except OSError:
            tries.held(f"{method}", True)


def test_what_a_request_says_of_its_origin_is_not_believed(site: Site, tries: Tries) -> None:
    forged = "203.0.113.77"
    web = site.web()
    form = {**web.form(), "_user": f"ana@{site.domain}", "_pass": "no password"}
    for name in (
        "X-Forwarded-For", "X-Real-IP", "Client-IP", "Forwarded", "X-Client-IP", "True-Client-IP", "Remote-Addr", "X-Remote-Addr", "REMOTE_ADDR", "Mailprov-Login",
    ):  # fmt: skip
        told = forged if name != "Forwarded" else f"for={forged}"
        web.post("/?_task=login", form, {name: told})
        seen = run_on(site.lab, site.host, "journalctl -t roundcube -t nginx -n 20 -o cat --no-pager")
        tries.held(name, forged not in seen, seen[-300:])
        form["_token"] = web.form()["_token"]
    for host in (
        "evil.test",
        "webmail.evil.test",
        f"{site.name}.evil.test",
        "127.0.0.1",
        f"{site.name}:1@evil.test",
    ):
        try:
            answer = site.web().get("/", Host=host)
            tries.held(f"Host {host}", "evil.test" not in answer.text + answer.location, answer.text[:200])
        except OSError:
            tries.held(f"Host {host}", True)


def test_no_other_site_can_act_for_a_user(site: Site, tries: Tries) -> None:
    """Each without the token of the session, as a form on another site would send it; then nothing has changed."""
    web, right = logged_in(site)
    mark = f"csrf{int(time.time())}"
    actions = [
        ("mail", "send", {"_to": f"luis@{site.domain}", "_subject": mark, "_message": "x", "_from": "1"}),
        ("mail", "delete", {"_uid": "*", "_mbox": "INBOX"}),
        ("mail", "purge", {"_mbox": "INBOX"}),
        ("mail", "move", {"_uid": "*", "_mbox": "INBOX", "_target_mbox": "Trash"}),
        ("settings", "save-identity", {"_iid": "1", "_name": mark, "_email": f"ana@{site.domain}"}),
        ("settings", "save-prefs", {"_section": "general", "_language": "de_DE"}),
        ("settings", "save-folder", {"_name": mark}),
        (
            "settings",
            "plugin.password-save",
            {"_curpasswd": right, "_newpasswd": "x" * 20, "_confpasswd": "x" * 20},
        ),
        ("settings", "plugin.managesieve-save", {"_name": mark, "_framed": "1"}),
        ("settings", "plugin.managesieve-vacation", {"vacation_reason": mark, "vacation_status": "on"}),
        ("addressbook", "save", {"_name": mark, "_email[]": "x@evil.test", "_source": "0"}),
        ("addressbook", "import", {"_target": "0"}),
    ]
    for wrong in (None, "", "A" * 32, site.web().form()["_token"]):
        for task, action, fields in actions if LONG or wrong is None else actions[:2]:
            sent = {**fields, **({} if wrong is None else {"_token": wrong})}
            answer = web.post(f"/?_task={task}&_action={action}", sent)
            tries.held(
                f"{task}/{action} with {wrong}",
                "CHECK FAILED" in answer.text.upper() or answer.status == 403,
                answer.text[:200],
            )
    tries.held("logout by a link", inside(web.get("/?_task=mail")) if web.get("/?_task=logout") else False)
    client = site.imap("luis")
    client.select("INBOX", readonly=True)
    tries.held("nothing was sent", not client.search(None, "SUBJECT", mark)[1][0])
    client.logout()


def test_users_see_and_send_nothing_of_others(site: Site, tries: Tries) -> None:
    ana, luis = logged_in(site), logged_in(site, "luis")
    own, right = ana
    for number in range(1, 8):
        for path in (
            "settings&_action=edit-identity&_iid",
            "addressbook&_action=show&_source=0&_cid",
            "settings&_action=edit-response&_id",
        ):
            answer = own.get(f"/?_task={path}={number}&_framed=1")
            tries.held(
                f"{path}={number}",
                f"luis@{site.domain}" not in answer.text and f"zoe@{site.domain}" not in answer.text,
            )
    # luis uploads; ana has the number of what he is writing.
    page = luis[0].get("/?_task=mail&_action=compose")
    page = luis[0].get(page.location.replace("./", "/", 1)) if page.status == 302 else page
    found = re.search(r'"compose_id":"([^"]+)"', page.text)
    assert found, page.text[:200]
    upload(luis[0], luis[1], found.group(1), "secret.txt", b"the secret of luis")
    for part in ("rcmfile0", "rcmfile1", "0", "undefined"):
        for action in ("display-attachment&_file", "get&_part", "remove-attachment&_file"):
            answer = own.get(f"/?_task=mail&_action={action}={part}&_id={found.group(1)}")
            tries.held(f"{action} {part}", "secret of luis" not in answer.text)
    for folder in (
        "INBOX",
        "luis",
        f"luis@{site.domain}/INBOX",
        "../luis/Maildir",
        "user/luis",
        "~luis",
        "Shared/luis",
    ):
        answer = own.get(f"/?_task=mail&_action=show&_uid=1&_mbox={folder}")
        tries.held(f"folder {folder}", "secret" not in answer.text)
    # Nobody writes as another, whatever the identity is called, and a field is one field.
    mark = f"sent{int(time.time())}"
    for number, (identity, fields) in enumerate(
        (
            ({"_email": f"luis@{site.domain}"}, {}),
            ({"_name": f"luis\r\nBcc: zoe@{site.domain}"}, {}),
            ({}, {"_subject": f"{mark} x\r\nBcc: zoe@{site.domain}"}),
            ({}, {"_to": f"luis@{site.domain}\r\nBcc: zoe@{site.domain}"}),
            ({}, {"_from": f"luis@{site.domain}"}),
            ({}, {"_from": "2"}),
            ({}, {"_replyto": f"x@y.test\r\nBcc: zoe@{site.domain}"}),
        )
    ):
        settings = {"_iid": "1", "_name": "Ana", "_email": f"ana@{site.domain}", "_standard": "1", **identity}
        own.post("/?_task=settings&_action=save-identity", {**settings, "_token": right, "_framed": "1"})
        answer = own.get("/?_task=mail&_action=compose")
        answer = own.get(answer.location.replace("./", "/", 1)) if answer.status == 302 else answer
        writing = re.search(r'"compose_id":"([^"]+)"', answer.text)
        assert writing
        message = {
            "_to": f"luis@{site.domain}",
            "_subject": f"{mark} {number}",
            "_message": "x",
            "_from": "1",
        }
        own.post(
            "/?_task=mail&_action=send",
            {**message, **fields, "_token": right, "_id": writing.group(1), "_framed": "1"},
        )
    settle(site, "luis")
    for user in ("luis", "zoe"):
        for raw in messages(site, user, mark):
            head = raw.partition(b"\r\n\r\n")[0].lower()
            tries.held(
                "author",
                b"\nfrom: luis" not in head
                and f"<luis@{site.domain}>".encode() not in re.findall(rb"\nfrom: .*", head)[0],
                head,
            )
            to = b" ".join(re.findall(rb"\nto: .*(?:\r\n[ \t].*)*", head))
            named = f"{user}@{site.domain}".encode() in to  # by whom it was written, in sight of all
            tries.held("hidden reader", named and b"\nbcc:" not in head, head)


def upload(web: Web, right: str, writing: str, name: str, data: bytes) -> Answer:
    edge = "edgeedgeedge"
    head = f'--{edge}\r\nContent-Disposition: form-data; name="_attachments[]"; filename="{name}"\r\nContent-Type: text/plain\r\n\r\n'
    form = f'--{edge}\r\nContent-Disposition: form-data; name="_token"\r\n\r\n{right}\r\n'
    body = form.encode() + head.encode() + data + f"\r\n--{edge}--\r\n".encode()
    path = f"/?_task=mail&_action=upload&_id={writing}&_uploadid=upload1&_unlock=1&_token={right}&_remote=1"
    return web.ask(
        "POST",
        path,
        body,
        {"Content-Type": f"multipart/form-data; boundary={edge}", "X-Roundcube-Request": right},
    )


def test_a_program_that_is_uploaded_never_runs(site: Site, tries: Tries) -> None:
    web, right = logged_in(site)
    page = web.get("/?_task=mail&_action=compose")
    page = web.get(page.location.replace("./", "/", 1)) if page.status == 302 else page
    found = re.search(r'"compose_id":"([^"]+)"', page.text)
    assert found
    program = f"<?php echo strrev('{MARK[::-1]}'); ?>".encode()
    names = [
        "evil.php",
        "evil.php.jpg",
        "evil.phtml",
        "evil.phar",
        "../evil.php",
        "evil.php\\0.jpg",
        ".htaccess",
        ".user.ini",
        "evil.svg",
        "evil.html",
    ]
    for name in some(names, 5):
        answer = upload(web, right, found.group(1), name, program)
        files = re.findall(r"rcmfile\w+", answer.text) or ["rcmfile1"]
        stored = run_on(site.lab, site.host, "ls /var/lib/mailprov-webmail/temp").split()
        paths = [f"/?_task=mail&_action=display-attachment&_file={files[0]}&_id={found.group(1)}"]
        paths += [
            f"{folder}{each}"
            for folder in ("/temp/", "/", "/plugins/", "/skins/")
            for each in (*stored[-2:], name.split("/")[-1])
        ]
        paths += [
            f"/index.php/{name.split('/')[-1]}",
            f"/skins/elastic/images/logo.svg/{name.split('/')[-1]}",
        ]
        for path in paths:
            try:
                answer = web.get(path.replace("\\", "%5c").replace(" ", "%20"))
            except OSError:
                continue
            quiet = (
                answer.headers.get_content_type() not in ("text/html", "image/svg+xml")
                or "attachment" in (answer.headers.get("Content-Disposition") or "")
                or program not in answer.text.encode()
            )
            tries.held(
                f"{name} at {path[:60]}", MARK not in answer.text and quiet, (answer.status, answer.text[:80])
            )


def messages(site: Site, user: str, mark: str) -> list[bytes]:
    client = site.imap(user)
    try:
        client.select("INBOX", readonly=True)
        numbers = client.search(None, "SUBJECT", mark)[1][0].split()
        return [client.fetch(number, "(BODY.PEEK[])")[1][0][1] for number in numbers]
    finally:
        client.logout()


def settle(site: Site, user: str) -> None:
    """All that was accepted has arrived."""
    wait_until(lambda: "is empty" in run_on(site.lab, site.host, "postqueue -p"), "the queue is empty")


BODIES = [
    "<script>document.title='MARK'</script>", "<img src=x onerror=\"document.title='MARK'\">", "<svg onload=\"document.title='MARK'\">", "<svg><script>document.title='MARK'</script></svg>", "<body onload=\"document.title='MARK'\">", "<iframe srcdoc=\"<script>top.document.title='MARK'</script>\"></iframe>",
    "<iframe src=\"javascript:top.document.title='MARK'\"></iframe>", "<math><mtext><table><mglyph><style><img src=x onerror=\"document.title='MARK'\">", "<details open ontoggle=\"document.title='MARK'\">", "<input autofocus onfocus=\"document.title='MARK'\">", "<video><source onerror=\"document.title='MARK'\"></video>", "<object data=\"data:text/html,<script>top.document.title='MARK'</script>\"></object>",
    "<embed src=\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='top.document.title=1'/>\">", "<img src=\"http://evil.test/1\">", "<img src=\"//evil.test/2\">", "<img srcset=\"https://evil.test/3 1x\">", "<div style=\"background:url(https://evil.test/4)\">x</div>", "<style>body{background:url(https://evil.test/5)}</style>x", "<style>@import 'https://evil.test/6';</style>x",
    "<link rel=stylesheet href=https://evil.test/7>x", "<link rel=prefetch href=https://evil.test/8><link rel=dns-prefetch href=//evil.test>x", "<meta http-equiv=refresh content=\"0;url=https://evil.test/9\">x", "<base href=https://evil.test/><img src=10>", "<video poster=https://evil.test/11 src=https://evil.test/12></video>", "<svg><image href=https://evil.test/13 /><use href=https://evil.test/14#x /></svg>", "<audio src=https://evil.test/15 autoplay></audio>",
    "<form action=https://evil.test/16><input name=a><button>x</button></form><script>document.forms[0].submit()</script>", "<table background=https://evil.test/17><tr><td>x</table>", "<div style=\"background-image:\\75rl(https://evil.test/18)\">x</div>", "<div style=\"list-style:url('https://evil.test/19');content:url(https://evil.test/20)\">x</div>", "<font-face src=https://evil.test/21>", "<bgsound src=https://evil.test/22><isindex action=https://evil.test/23>",
    "<noscript><p title=\"</noscript><img src=x onerror=document.title='MARK'>\">", "<svg></p><style><a id=\"</style><img src=1 onerror=document.title='MARK'>\">", "<a href=\"javascript:document.title='MARK'\" autofocus>x</a>", "<!--><img src=x onerror=document.title='MARK'>-->", "<xmp><img src=x onerror=document.title='MARK'></xmp>", "<svg><animate onbegin=document.title='MARK' attributeName=x dur=1s>", "<svg><foreignObject><body xmlns='http://www.w3.org/1999/xhtml' onload=document.title='MARK'></foreignObject></svg>",
]  # fmt: skip


@pytest.mark.skipif(bool(MISSING), reason=f"needs Chromium and its driver: {MISSING}")
def test_mail_does_nothing_in_a_readers_browser(site: Site, tries: Tries, tmp_path: Path) -> None:
    bodies = some(BODIES, 12)
    client = site.imap("ana")
    client.create("Hostile")
    for number, body in enumerate(bodies):
        html = f"<html><p>hostile {number}</p>{body.replace('MARK', MARK)}<p>end of {number}</p></html>"
        raw = f"From: x@evil.test\r\nTo: ana@{site.domain}\r\nSubject: hostile {number} <script>document.title='{MARK}'</script>\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{html}\r\n"
        client.append("Hostile", "", imaplib.Time2Internaldate(time.time()), raw.encode())
    client.select("Hostile", readonly=True)
    uids = client.uid("search", "", "ALL")[1][0].split()[-len(bodies) :]
    client.logout()
    with Browser(tmp_path / "browser", {site.name: site.address}, (site.lab.ca_file,)) as page:
        page.open(f"https://{site.name}/")
        page.find("#rcmloginuser").send_keys(f"ana@{site.domain}")
        page.find("#rcmloginpwd").send_keys(site.password("ana"))
        page.find("#rcmloginsubmit").click()
        page.wait(lambda: "_task=mail" in page.driver.current_url, "the mailbox is shown")
        page.console()
        for body, uid in zip(bodies, uids, strict=True):
            page.open(f"https://{site.name}/?_task=mail&_action=show&_mbox=Hostile&_uid={uid.decode()}")
            page.find("#messagebody")
            time.sleep(0.3)  # what begins when the page is there
            fetched = [line for line in page.console() if "evil.test" in line and "NAME_NOT_RESOLVED" in line]
            moved = site.name not in page.driver.current_url
            title = page.driver.title
            tries.held(
                body,
                not fetched and not moved and not title.startswith(MARK) and title != "1",
                (title, fetched),
            )
