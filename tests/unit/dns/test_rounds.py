"""What planning costs on real name servers: questions, and rounds of them one after another."""

from __future__ import annotations

import dns.message

from mailprov.dns import session
from mailprov.dns.session import Session
from tests.unit.dns.servers import Named


def test_many_questions_are_one_round_and_answered_in_their_order(named: Named) -> None:
    questions = [dns.message.make_query(f"n{number}.same.test", "A") for number in range(300)]
    before = (session.TRAFFIC.rounds, session.TRAFFIC.questions)
    with Session(named.settings()) as open_session:
        answers = open_session.ask(questions)
    assert [answer.question for answer in answers] == [question.question for question in questions]
    assert (open_session.traffic.rounds, open_session.traffic.questions) == (1, 300)
    assert (session.TRAFFIC.rounds - before[0], session.TRAFFIC.questions - before[1]) == (1, 300)
