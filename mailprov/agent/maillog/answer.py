"""Mode `maillog`: what this host's logs tell of a message, and what they cannot tell.

    work(session)     says `maillog` of wire.messages

Reads only. Where there is a journal with mail in it, that is read; files (rsyslog's) for what is older than it reaches,
or where it has none. Rspamd writes a file of its own. Raises AgentError.
"""

from __future__ import annotations

import time
from typing import Any, Dict, List, Mapping, Union

from mailprov.agent.errors import AgentError
from mailprov.agent.maillog import log_files, search
from mailprov.agent.maillog.found import MOST_MESSAGES, MOST_RECORDS, Found, Keys
from mailprov.agent.maillog.journald import Journal, Loss
from mailprov.agent.maillog.log_files import LogFiles
from mailprov.agent.maillog.records import Record
from mailprov.agent.sentences import _, joined, ngettext
from mailprov.agent.session import Session

_MOST_KEYS = 500
_LONGEST_KEY = 1_000  # characters; RFC 5322 section 2.1.1 ends a line after 998
_AROUND = 60  # seconds before and after a message in which records that were dropped could have been its own
_SOON = 3600
_SERVICES = ("postfix", "dovecot", "rspamd", "opendkim", "mailprov", "rsyslog")


def work(session: Session) -> None:
    keys = _keys(session.job.keys)
    looked = _Look(session, keys, float(session.job.follow))
    looked.look()
    records = looked.records
    session.channel.say(
        "maillog",
        records=[record.wire() for record in records],
        gaps=[{"text": gap} for gap in looked.gaps()],
        reach=looked.reach,
        sources=looked.sources,
        more=looked.more,
        now=time.time(),
    )


def _keys(raw: Mapping[str, Any]) -> Keys:
    """Raises AgentError for a key that no record can have: programs take no NUL, and logs have no line ends."""
    message_ids, queue_ids = (
        tuple(map(str, raw.get(name, ())))[:_MOST_KEYS] for name in ("message_ids", "queue_ids")
    )
    sender, recipient = str(raw.get("from", "")), str(raw.get("to", ""))
    for each in (*message_ids, *queue_ids, sender, recipient):
        if len(each) > _LONGEST_KEY or not each.isprintable():
            raise AgentError(
                _("{key} is no id and no address").format(key=repr(each[:60])),
                _("give it as it stands in the log or in the message"),
            )
    since, until = float(raw.get("since", 0)), float(raw.get("until", 0))
    return Keys(
        tuple(filter(None, message_ids)), tuple(filter(None, queue_ids)), sender, recipient, since, until
    )


class _Look:
    """`reach`: seconds; the oldest record that was looked at, 0 where there is none."""

    def __init__(self, session: Session, keys: Keys, follow: float) -> None:
        root, check = session.tree.root, session.check
        self.keys, self._follow = keys, follow
        self.journal = Journal(root, check)
        self.files = log_files.mail_files(root, check)
        self._rspamd = log_files.rspamd_files(root, check)
        self.sources: List[str] = []
        self.records: List[Record] = []
        self.reach = 0.0
        self.more = False
        self._found: List[Found] = []
        self._losses: List[Loss] = []
        self._volatile = False

    def look(self) -> None:
        logged = self.journal.there()
        if logged:
            self.sources.append("journal")
            self.reach = self.journal.reach()
            self._volatile = not self.journal.persistent()
            self._take(self.journal, self.keys)
        if self.files.there() and not (logged and self._follow):
            older = self.keys.since and self.reach > self.keys.since
            if not logged or older or not self.records:
                self._older(self.keys._replace(until=min(self.keys.until or self.reach, self.reach)))
        if self.records and self._rspamd.there():
            self._filter()
        at = [record.t / 1e6 for record in self.records]
        since, until = (min(at) - _AROUND, max(at) + _AROUND) if at else (self.keys.since, self.keys.until)
        if logged:
            self._losses = self.journal.losses(max(since, 1), until)
        if self.files.there() and not logged:
            self._losses += self.files.losses(since, until)

    def _take(self, source: Union[Journal, LogFiles], keys: Keys) -> None:
        found = search.follow(source, keys, self._follow) if self._follow else search.find(source, keys)
        self._found.append(found)
        self.more = self.more or found.more or found.ids.many
        # What files have is older than what the journal has.
        self.records = found.records + self.records

    def _older(self, keys: Keys) -> None:
        self.sources += self.files.paths()
        self._take(self.files, keys)
        reach = self.files.reach()
        if reach:
            self.reach = min(self.reach or reach, reach)

    def _filter(self) -> None:
        """Rspamd's records of these messages."""
        at = [record.t / 1e6 for record in self.records]
        self.sources += self._rspamd.paths()[-1:]
        for found in self._found:
            if found.ids.queue_ids:
                told = self._rspamd.read(found.ids.pattern(), min(at) - _SOON, max(at) + _SOON)
                self.records += [record for record in told if found.ids.take(record)]

    def gaps(self) -> List[str]:
        made = [*self._lost(), *self._too_short(), *self._forged()]
        late = search.out_of_order([record for record in self.records if record.ident != "rspamd"])
        if late:
            made.append(
                ngettext(
                    "{count} record is older than the one logged before it: the clock was set back, or it came late",
                    "{count} records are older than the ones logged before them: the clock was set back, or they "
                    "came late",
                    late,
                ).format(count=late)
            )
        cut = sum(record.cut for record in self.records)
        if cut:
            made.append(
                ngettext(
                    "{count} record was cut because it is too long",
                    "{count} records were cut because they are too long",
                    cut,
                ).format(count=cut)
            )
        if self.files.broken:
            made.append(
                ngettext(
                    "{count} line of {path} is damaged, so it was not read",
                    "{count} lines of {path} are damaged, so they were not read",
                    self.files.broken,
                ).format(count=self.files.broken, path=self.files.paths()[-1])
            )
        made += [_("journalctl says: {text}").format(text=text) for text in self.journal.complaints[:3]]
        if self.more:
            made.append(
                _(
                    "there is more in the log than the {count} records and {messages} messages that are shown"
                ).format(count=MOST_RECORDS, messages=MOST_MESSAGES)
            )
        if any(record.source.startswith("/") and record.ident != "rspamd" for record in self.records):
            made.append(
                _("{path} does not tell who wrote a line: any local user can write there").format(
                    path=next(
                        r.source for r in self.records if r.source.startswith("/") and r.ident != "rspamd"
                    )
                )
            )
        return made

    def _lost(self) -> List[str]:
        made: List[str] = []
        for loss in self._losses:
            if not loss.kernel and not any(name in loss.text for name in _SERVICES):
                continue
            made.append(
                _("at {time} the log lost records, so some of this message may be missing: {text}").format(
                    time=_time(loss.t / 1e6), text=loss.text[:300]
                )
            )
        if len(made) > 3:
            others = _("the log lost records {count} more times").format(count=len(made) - 3)
            return [*made[:3], others]
        return made

    def _too_short(self) -> List[str]:
        if not self.sources:
            return [
                _(
                    "no log of mail was found here: the journal has no record of it, and there is no /var/log/mail.log"
                )
            ]
        if self._follow or not self.reach or (self.records and not self.keys.since):
            return []
        if self.keys.since and self.reach <= self.keys.since + 1:
            return []
        if not self.keys.since and not self._volatile:
            return []  # the controller says how far it reaches
        text = _("the log begins at {time}; what was before that is not in it").format(time=_time(self.reach))
        if self._volatile:
            why = _("the journal is kept in memory only, so each boot begins a new one")
            return [joined([text, why], "; ")]
        return [text]

    def _forged(self) -> List[str]:
        made: List[str] = []
        for who, count in sorted({**self._all_forged()}.items()):
            made.append(
                ngettext(
                    "{count} record under the name of a mail service was written by another program ({who}), and was "
                    "left out",
                    "{count} records under the name of a mail service were written by another program ({who}), and "
                    "were left out",
                    count,
                ).format(count=count, who=who)
            )
        return made[:5]

    def _all_forged(self) -> Dict[str, int]:
        made: Dict[str, int] = {}
        for found in self._found:
            for who, count in found.forged.items():
                made[who] = made.get(who, 0) + count
        return made


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
